"""What is particular to WSGI: input that must not be waited for, chunked bodies, forks."""

import io
import os
import threading

import flask
import pytest

from hookloop import Hooks
from hookloop.testing import make, sign

SECRET = "whsec_x"


@pytest.fixture
def hooks() -> Hooks:
    hooks = Hooks(SECRET, body_bytes_max=10_000)
    hooks.on_any(lambda event: None)
    return hooks


class Dribble(io.RawIOBase):
    """A socket: it gives less than it is asked for, and must not be asked for too much."""

    def __init__(self, body: bytes, *, is_endless: bool = False) -> None:
        self._body = io.BytesIO(body)
        self._is_endless = is_endless
        self.taken = 0

    def read(self, size: int = -1) -> bytes:
        assert size >= 0, "a read to the end waits for ever"
        chunk = b"x" * min(size, 100) if self._is_endless else self._body.read(min(size, 100))
        self.taken += len(chunk)
        return chunk


def environ(request, stream, **more) -> dict:
    return {
        "REQUEST_METHOD": "POST",
        "PATH_INFO": "/",
        "HTTP_STRIPE_SIGNATURE": request.header("stripe-signature"),
        "wsgi.input": stream,
        **more,
    }


def status(app, env: dict) -> int:
    seen = []
    b"".join(app(env, lambda line, headers, *_: seen.append(int(line[:3]))))
    return seen[0]


def test_a_body_that_dribbles_in_is_read_whole(hooks: Hooks):
    """And not one byte more than was announced: it may never come."""
    request = sign(make("customer.updated"), SECRET)
    stream = Dribble(request.body + b"the next request")
    env = environ(request, stream, CONTENT_LENGTH=str(len(request.body)))

    assert status(hooks.wsgi, env) == 200
    assert stream.taken == len(request.body)


def test_a_chunked_body_is_read_to_its_end(hooks: Hooks):
    """Where the server says that its input ends."""
    request = sign(make("customer.updated"), SECRET)
    env = environ(request, Dribble(request.body), **{"wsgi.input_terminated": True})

    assert status(hooks.wsgi, env) == 200


def test_an_endless_chunked_body_is_413(hooks: Hooks):
    """One byte past the limit is enough."""
    request = sign(b"{}", SECRET)
    stream = Dribble(b"", is_endless=True)

    assert status(hooks.wsgi, environ(request, stream, **{"wsgi.input_terminated": True})) == 413
    assert stream.taken == 10_001


def test_input_without_a_length_is_not_waited_for(hooks: Hooks):
    """PEP 3333: without one there is nothing to read."""
    request = sign(make("customer.updated"), SECRET)
    stream = Dribble(request.body)

    assert status(hooks.wsgi, environ(request, stream)) == 400
    assert stream.taken == 0


@pytest.mark.parametrize("is_endless", [False, True])
def test_flask_reads_chunked_bodies_to_the_limit(hooks: Hooks, is_endless: bool):
    """The same, by its own stream."""
    app = flask.Flask("chunked")
    app.register_blueprint(hooks.flask_blueprint())
    request = sign(make("customer.updated"), SECRET)
    server = {"SERVER_NAME": "x", "SERVER_PORT": "80", "wsgi.url_scheme": "http"}
    stream = io.BytesIO(b"x" * 20_000 if is_endless else request.body)
    env = environ(request, stream, **server, **{"wsgi.input_terminated": True})

    assert status(app, env) == (413 if is_endless else 200)


def test_async_handlers_of_many_threads_share_one_loop(hooks: Hooks):
    """So that a handler's client is used by one loop alone, its whole life."""
    import asyncio

    loops = []

    @hooks.on_any
    async def handler(event) -> None:
        loops.append(asyncio.get_running_loop())

    def send() -> None:
        request = sign(make("customer.updated"), SECRET)
        hooks.receive(request.body, request.headers)

    threads = [threading.Thread(target=send) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(loops) == 8
    assert len(set(map(id, loops))) == 1


@pytest.mark.filterwarnings("ignore:This process.*is multi-threaded:DeprecationWarning")
def test_a_forked_worker_gets_a_loop_of_its_own(hooks: Hooks):
    """It inherits the old one's object, and not its thread."""

    async def handler(event) -> None: ...

    hooks.on_any(handler)
    first = sign(make("customer.updated"), SECRET)
    assert hooks.receive(first.body, first.headers).status == 200
    second = sign(make("customer.updated"), SECRET)

    pid = os.fork()
    if pid == 0:
        # Nothing of pytest may run in the child: it says how it went by its exit code alone.
        code = 1
        try:
            code = 0 if hooks.receive(second.body, second.headers).status == 200 else 1
        finally:
            os._exit(code)

    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
