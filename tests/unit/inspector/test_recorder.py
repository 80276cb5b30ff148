"""The recorder: never in the way, redacts before it keeps, and counts what it lets go."""

from captures import exchange
from patience import PATIENCE

from hookloop.errors import StoreError
from hookloop.inspector import CaptureStore, Recorder, parse_redactions, recorder


def recorded(*exchanges, **settings):
    store = CaptureStore()
    with Recorder(store, **settings) as made:
        for one in exchanges:
            made.captured(one)
        assert made.flush(PATIENCE)
        assert made.kept() == len(exchanges)
    return [store.get(one.id) for one in store.find().items]


def test_pieces_become_the_body_and_times_become_seconds():
    """What the agent held on to is joined, off the path of traffic."""
    (kept,) = recorded(exchange(1, body=b"hello"))

    assert kept.request_body.data == b"hello"
    assert kept.request_body.is_as_passed
    assert (kept.connected_seconds, kept.duration_seconds) == (0.125, 0.25)
    assert kept.tunnel == "shop"


def test_the_beginning_of_a_long_body_is_marked():
    """Its length and its hash are the whole one's."""
    (kept,) = recorded(exchange(1, body=b"hello", request_body_bytes=500))

    assert not kept.request_body.is_whole
    assert not kept.request_body.is_as_passed
    assert kept.request_body.length == 500


def test_secrets_never_reach_the_store():
    """Headers, the query and, if asked for, bodies; what was taken out is named."""
    one = exchange(1, body=b'{"card": "4242424242424242"}')
    head = one.request._replace(
        target=b"/a?token=abc&x=1",
        headers=((b"AUTHORIZATION", b"Bearer abc"), (b"Stripe-Signature", b"t=1")),
    )

    (kept,) = recorded(
        one._replace(request=head), redaction=parse_redactions(["body:[0-9]{16}", "header:X"])
    )

    assert kept.request.target == b"/a?token=[redacted]&x=1"
    assert kept.request.headers == (
        (b"AUTHORIZATION", b"[redacted]"),
        (b"Stripe-Signature", b"t=1"),
    )
    assert kept.response.headers == ((b"Set-Cookie", b"[redacted]"),)
    assert kept.request_body.data == b'{"card": "****************"}'
    assert kept.request_body.is_whole
    assert not kept.request_body.is_as_passed
    assert set(kept.redacted) == {
        "query:token",
        "header:authorization",
        "header:set-cookie",
        "body:[0-9]{16}",
    }


def test_a_full_queue_lets_go_and_counts(monkeypatch):
    """The caller never waits: here nobody even takes from the queue."""
    monkeypatch.setattr(recorder, "QUEUE_MAX", 3)
    idle = Recorder(CaptureStore())

    for number in range(5):
        idle.captured(exchange(number))

    assert idle.dropped() == 2


def test_bytes_fill_the_queue_too(monkeypatch):
    """A few large bodies are as much as many small ones."""
    monkeypatch.setattr(recorder, "QUEUE_BYTES_MAX", 10_000)
    idle = Recorder(CaptureStore())

    for number in range(3):
        idle.captured(exchange(number, body=b"x" * 4000))

    assert idle.dropped() == 2


def test_a_disk_that_fails_is_counted_and_survived():
    """The next exchange is kept once the disk takes it again."""

    class Failing(CaptureStore):
        fails = True

        def add(self, captured, *, now):
            if self.fails:
                raise StoreError("the disk is full")
            super().add(captured, now=now)

    store = Failing()
    with Recorder(store) as made:
        made.captured(exchange(1))
        assert made.flush(PATIENCE)
        store.fails = False
        made.captured(exchange(2))
        assert made.flush(PATIENCE)

    assert (made.dropped(), made.kept()) == (1, 1)


def test_what_is_queued_at_the_end_is_kept():
    """Ctrl+C right after a request does not lose it."""
    store = CaptureStore()
    with Recorder(store) as made:
        for number in range(500):
            made.captured(exchange(number))

    assert store.count() == 500
