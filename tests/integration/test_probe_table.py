"""
The probe table: what a caller or an upstream may send, over real sockets, byte for byte.

Each request of the corpus goes through relay and agent to an upstream that keeps what it is
sent. It is refused with its status and nothing of it is ever whole at the upstream, or it
arrives in the one canonical form. All go through the same agent, one after the other:
a byte too many of one would show as the beginning of the next.
"""

import asyncio
import json
import re
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest
from tapped_upstream import tapped_upstream
from tunnel_loop import (
    HOST,
    Message,
    agent_config,
    get,
    open_caller,
    read_body,
    read_head,
    relay_config,
    soon,
)

from hookloop.tunnel.agent import running_agent
from hookloop.tunnel.agent.policy import Policy
from hookloop.tunnel.relay import running_relay

ROOT = Path(__file__).parents[2]
CORPUS = ROOT / "tests" / "corpus" / "http"
PAGE = (ROOT / "docs" / "reference" / "http-behaviour.md").read_text()
ADDED = (
    b"X-Forwarded-For: 127.0.0.1\r\nX-Forwarded-Proto: http\r\nX-Forwarded-Host: %b\r\n"
    b"Hookloop-Hops: 1\r\n"
)
AS_SENT = Policy(host_header="preserve")


@dataclass(frozen=True)
class Case:
    """What a caller sends on one connection, and what it is."""

    about: str
    sent: bytes
    status: int | None = None
    """That it is refused with; None where it is passed on."""
    before: int = 0
    """How many requests may have begun at the upstream before it is refused."""
    requests: tuple[dict, ...] = ()


@dataclass
class Outcome:
    """What became of a case."""

    answers: list[Message]
    whole: list[bytes]
    """The requests that the upstream received."""


def cases(kind: str) -> list[Case]:
    found = []
    for path in sorted((CORPUS / kind).glob("*.http")):
        told = json.loads(path.with_suffix(".json").read_text())
        told["requests"] = tuple(told.get("requests", ()))
        found.append(Case(sent=path.read_bytes(), **told))
    return found


UPGRADE = b"POST / HTTP/1.1\r\nHost: %b\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n" % HOST
HIDDEN = b"GET /smuggled HTTP/1.1\r\nHost: %b\r\n\r\n" % HOST
# Refused though each part is HTTP: what they ask for cannot be had together.
MORE_REFUSED = [
    Case(
        "an upgrade with a body, which hides a request",
        UPGRADE + b"Content-Length: %d\r\n\r\n" % len(HIDDEN) + HIDDEN,
        400,
    ),
    Case(
        "an upgrade with a chunked body",
        UPGRADE + b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + HIDDEN,
        400,
    ),
    Case("a name that no agent has", get(host=b"nobody.tun.test"), 404),
]
REFUSED = [*cases("invalid"), *MORE_REFUSED]
PASSED = cases("valid")


def about(case) -> str:
    return case.about


# Where the first answer ends the connection, what comes behind it has none.
NOT_ANSWERED = "a request after one that was to be the last"


@dataclass
class Run:
    """All cases, sent one after the other through the same relay and agent."""

    outcomes: dict[str, Outcome]
    cut: list[bytes]
    """What the upstream received of requests that had no end."""


@pytest.fixture(scope="module")
def run() -> Run:
    with asyncio.Runner() as runner:
        return runner.run(_send_all([*REFUSED, *PASSED]))


async def _send_all(all_cases: list[Case]) -> Run:
    outcomes = {}
    async with (
        tapped_upstream() as tap,
        running_relay(relay_config()) as relay,
        running_agent(agent_config(relay, tap.port, policy=AS_SENT)),
        AsyncExitStack() as stack,
    ):
        for case in all_cases:
            caller = await open_caller(stack, relay.port)
            await caller.send(case.sent)
            if case.status is None or case.status == 404:
                caller.writer.write_eof()  # the connection would stay open for more
            answers = _answers(await caller.rest(), case)
            outcomes[case.about] = Outcome(answers, tap.whole)
            tap.whole = []
    assert tap.whole == []
    return Run(outcomes, tap.cut)


def _answers(data: bytes, case: Case) -> list[Message]:
    """Read *data* as answers; a HEAD's has no body."""
    answers = []
    while data:
        head, _, rest = data.partition(b"\r\n\r\n")
        first_line, *lines = head.split(b"\r\n")
        message = Message(first_line, [tuple(line.split(b": ", 1)) for line in lines])
        length = int(message.values(b"content-length")[0])
        if case.sent.startswith(b"HEAD"):
            length = 0
        message.body, data = rest[:length], rest[length:]
        answers.append(message)
    return answers


# --- requests ----------------------------------------------------------------------------


@pytest.mark.parametrize("case", REFUSED, ids=about)
def test_it_is_refused_and_nothing_of_it_is_whole_at_the_upstream(case, run):
    """One answer that says why, in words and by a code; the requests before it have theirs."""
    outcome = run.outcomes[case.about]
    *before, last = outcome.answers
    if case.about == NOT_ANSWERED:
        assert (before, last.status, last.values(b"connection")) == ([], 200, [b"close"])
        assert len(outcome.whole) == 1
        return

    assert last.status == case.status
    assert last.values(b"hookloop-error")
    assert [answer.status for answer in before] == [200] * len(outcome.whole)
    assert len(outcome.whole) <= case.before
    assert not any(b"smuggled" in request for request in outcome.whole)


def test_what_began_at_the_upstream_and_was_refused_has_no_end(run):
    """A body that breaks is cut at the upstream too: it never takes it for a whole one."""
    heads = {request.partition(b"\r\n\r\n")[0] for request in run.cut}

    assert len(run.cut) <= sum(case.before for case in REFUSED)
    assert not any(b"smuggled" in request or b"0\r\n\r\n" in request for request in run.cut)
    assert heads <= {
        b"POST / HTTP/1.1\r\nHost: %b\r\n%bTransfer-Encoding: chunked" % (HOST, ADDED % HOST)
    }


@pytest.mark.parametrize("case", PASSED, ids=about)
def test_it_arrives_in_canonical_form(case, run):
    """The very bytes: head as it came but for one connection's fields, one framing, its body."""
    outcome = run.outcomes[case.about]
    ours = [request for request in case.requests if request["host"] == HOST.decode()]

    assert outcome.whole == [canonical(request) for request in ours]
    assert len(outcome.answers) == len(case.requests)


def canonical(request: dict) -> bytes:
    """Return what the upstream must have been sent, with a chunked body as one chunk."""
    fields = [tuple(part.encode("latin-1") for part in pair) for pair in request["headers"]]
    host = next(value for name, value in fields if name.lower() == b"host")
    body = request["body"].encode("latin-1")
    head = f"{request['method']} {request['target']} HTTP/1.1\r\n".encode()
    head += b"".join(b"%b: %b\r\n" % pair for pair in fields) + ADDED % host
    is_sized = any(name.lower() == b"content-length" for name, _ in fields)
    if is_sized or not body:  # chunks of no bytes are no body either
        return head + b"\r\n" + body
    trailers = "".join(f"{name}: {value}\r\n" for name, value in request["trailers"]).encode()
    chunks = b"%x\r\n%b\r\n0\r\n%b\r\n" % (len(body), body, trailers)
    return head + b"Transfer-Encoding: chunked\r\n\r\n" + chunks


# --- answers -----------------------------------------------------------------------------


@dataclass(frozen=True)
class Answer:
    """What an upstream answers, and what its caller is told."""

    about: str
    sent: bytes
    told: str
    """In words, for the page."""
    status: int
    fields: tuple[bytes, ...] | None = None
    """All of them, in order; None where they are the relay's own."""
    body: bytes = b""
    is_whole: bool = True
    method: bytes = b"GET"
    trailers: tuple[bytes, ...] = ()
    interim: tuple[int, ...] = ()


def ok(*lines: bytes, body: bytes = b"", status: bytes = b"200 OK") -> bytes:
    return b"HTTP/1.1 " + status + b"\r\n" + b"".join(n + b"\r\n" for n in lines) + b"\r\n" + body


PASSED_BACK = "passed on"
BROKEN = "502"
CUT = "seen to be cut"
CHUNKED = b"Transfer-Encoding: chunked"
ANSWERS = [
    Answer(
        "order, case and duplicates of fields",
        ok(b"b: 1", b"SET-Cookie: a=1", b"Set-Cookie: b=2", b"Content-Length: 1", body=b"x"),
        "kept",
        200,
        (b"b: 1", b"SET-Cookie: a=1", b"Set-Cookie: b=2", b"Content-Length: 1"),
        b"x",
    ),
    Answer(
        "fields of one connection, and those that Connection names",
        ok(b"Connection: close, X-A", b"Keep-Alive: 5", b"X-A: 1", b"Content-Length: 0"),
        "dropped",
        200,
        (b"Content-Length: 0",),
    ),
    Answer(
        "the relay's own error field",
        ok(b"Hookloop-Error: no_tunnel", b"Content-Length: 0"),
        "dropped: only the relay sets it",
        200,
        (b"Content-Length: 0",),
    ),
    Answer(
        "chunks, with trailers",
        ok(CHUNKED, body=b"3;a=b\r\nabc\r\n0\r\nX-Sum: 1\r\n\r\n"),
        "passed on as chunks, trailers and all",
        200,
        (CHUNKED,),
        b"abc",
        trailers=(b"X-Sum: 1",),
    ),
    Answer(
        "a body that ends with its connection",
        ok(b"Connection: close", body=b"abc") + b"<close>",
        "passed on as chunks, whole",
        200,
        (CHUNKED,),
        b"abc",
    ),
    Answer(
        "an answer of HTTP/1.0",
        b"HTTP/1.0 200 OK\r\nContent-Length: 3\r\n\r\nabc<close>",
        "passed on as HTTP/1.1",
        200,
        (b"Content-Length: 3",),
        b"abc",
    ),
    Answer(
        "304 with the length of what is not sent",
        ok(b"ETag: a", b"Content-Length: 5", status=b"304 Not Modified"),
        "its length is kept",
        304,
        (b"ETag: a", b"Content-Length: 5"),
    ),
    Answer(
        "an answer to HEAD with the length of what is not sent",
        ok(b"Content-Length: 5"),
        "its length is kept",
        200,
        (b"Content-Length: 5",),
        method=b"HEAD",
    ),
    Answer(
        "204 with a length, which it must not have",
        ok(b"Content-Length: 0", b"X-A: 1", status=b"204 No Content"),
        "its length is dropped",
        204,
        (b"X-A: 1",),
    ),
    Answer(
        "early hints before the answer",
        ok(b"Link: </a>", status=b"103 Early Hints") + ok(b"Content-Length: 0"),
        "both are passed on, at once",
        200,
        (b"Content-Length: 0",),
        interim=(103,),
    ),
    Answer(
        "bytes behind the answer",
        ok(b"Content-Length: 1", body=b"x" + ok(b"Content-Length: 4", body=b"evil")),
        "never seen by any caller",
        200,
        (b"Content-Length: 1",),
        b"x",
    ),
    Answer(
        "204 with a body, which it must not have",
        ok(b"Content-Length: 4", status=b"204 No Content", body=b"evil"),
        "the body is never seen by any caller",
        204,
        (),
    ),
    Answer(
        "304 with a body, which it must not have",
        ok(b"Content-Length: 4", status=b"304 Not Modified", body=b"evil"),
        "the body is never seen by any caller",
        304,
        (b"Content-Length: 4",),
    ),
    Answer(
        "an answer to HEAD with a body",
        ok(b"Content-Length: 4", body=b"evil"),
        "the body is never seen by any caller",
        200,
        (b"Content-Length: 4",),
        method=b"HEAD",
    ),
    Answer(
        "chunks in HTTP/1.0",
        ok(CHUNKED, body=b"1\r\nx\r\n0\r\n\r\n").replace(b"1.1", b"1.0", 1),
        "passed on as chunks of HTTP/1.1",
        200,
        (CHUNKED,),
        b"x",
    ),
    Answer(
        "a status line that says HTTP/2.0",
        ok(b"Content-Length: 1", body=b"x").replace(b"1.1", b"2.0", 1),
        "passed on as HTTP/1.1",
        200,
        (b"Content-Length: 1",),
        b"x",
    ),
    Answer(
        "a status without a reason",
        b"HTTP/1.1 200\r\nContent-Length: 1\r\n\r\nx",
        "passed on",
        200,
        (b"Content-Length: 1",),
        b"x",
    ),
    Answer(
        "trailers that would change the answer",
        ok(CHUNKED, body=b"1\r\nx\r\n0\r\nSet-Cookie: a\r\nX-Forwarded-For: b\r\nX-Ok: 1\r\n\r\n"),
        "dropped, the others passed on",
        200,
        (CHUNKED,),
        b"x",
        trailers=(b"X-Ok: 1",),
    ),
    Answer(
        "a body shorter than its length",
        ok(b"Content-Length: 9", body=b"abc") + b"<close>",
        CUT,
        200,
        (b"Content-Length: 9",),
        b"abc",
        is_whole=False,
    ),
    Answer(
        "chunks without the last one",
        ok(CHUNKED, body=b"3\r\nabc\r\n") + b"<close>",
        CUT,
        200,
        (CHUNKED,),
        b"abc",
        is_whole=False,
    ),
    Answer(
        "a broken chunk",
        ok(CHUNKED, body=b"3\r\nabc\r\n0_3\r\nabc\r\n0\r\n\r\n"),
        CUT,
        200,
        (CHUNKED,),
        b"abc",
        is_whole=False,
    ),
    *(
        Answer(what, answer, BROKEN, 502)
        for what, answer in [
            ("both framings", ok(CHUNKED, b"Content-Length: 3", body=b"0\r\n\r\n")),
            ("two lengths that differ", ok(b"Content-Length: 1", b"Content-Length: 2", body=b"ab")),
            ("a length that is no number", ok(b"Content-Length: +1", body=b"a")),
            ("a list of lengths", ok(b"Content-Length: 1, 1", body=b"a")),
            ("an unknown transfer coding", ok(b"Transfer-Encoding: xchunked", body=b"0\r\n\r\n")),
            ("a coding before chunked", ok(b"Transfer-Encoding: gzip, chunked", body=b"0\r\n\r\n")),
            ("a coding after chunked", ok(b"Transfer-Encoding: chunked, gzip", body=b"0\r\n\r\n")),
            ("chunked twice", ok(CHUNKED, CHUNKED, body=b"0\r\n\r\n")),
            ("a version in lower case", b"http/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"),
            ("a bare carriage return in a value", ok(b"X-A: a\rb", b"Content-Length: 0")),
            ("an escape character in a value", ok(b"X-A: \x1b[2J", b"Content-Length: 0")),
            ("a length in hexadecimal", ok(b"Content-Length: 0x1", body=b"a")),
            ("a field name that is empty", ok(b": a", b"Content-Length: 0")),
            ("a folded line", ok(b"X-A: a\r\n b", b"Content-Length: 0")),
            ("a bare line feed in the head", ok(b"X-A: a\nX-B: b", b"Content-Length: 0")),
            ("NUL in a value", ok(b"X-A: a\x00b", b"Content-Length: 0")),
            ("a space before the colon", ok(b"X-A : a", b"Content-Length: 0")),
            ("101 that nobody asked for", ok(b"Upgrade: a", status=b"101 Switching Protocols")),
            ("a status of 999", ok(b"Content-Length: 0", status=b"999 Odd")),
            ("a status of two digits", ok(b"Content-Length: 0", status=b"20 Odd")),
            ("a head over 64 KiB", ok(b"X-A: " + b"a" * 66_000, b"Content-Length: 0")),
            ("what is no HTTP", b"SSH-2.0-OpenSSH_9.2\r\n\r\n"),
            ("nothing but the end of its connection", b"<close>"),
            ("a head without an end", b"HTTP/1.1 200 OK\r\nX-A: <close>"),
        ]
    ),
]


@pytest.fixture(scope="module")
def told() -> dict[str, tuple[list[int], Message, Message]]:
    """Let the upstream give each answer in turn; each is followed by one that is in order."""
    with asyncio.Runner() as runner:
        return runner.run(_answer_all())


async def _answer_all():
    next_answer = b""

    async def serve(reader, writer):
        try:
            while True:
                await read_head(reader)
                data = next_answer.removesuffix(b"<close>")
                writer.write(data)
                if data != next_answer:
                    break
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    told = {}
    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with (
        server,
        running_relay(relay_config()) as relay,
        running_agent(agent_config(relay, server.sockets[0].getsockname()[1])),
        AsyncExitStack() as stack,
    ):
        for answer in ANSWERS:
            next_answer = answer.sent
            caller = await open_caller(stack, relay.port)
            await caller.send(get().replace(b"GET", answer.method, 1))
            interim = []
            head = await caller.head()
            while head.status < 200:
                interim.append(head.status)
                head = await caller.head()
            has_body = answer.method != b"HEAD" and head.status not in {204, 304}
            message = await soon(read_body(caller.reader, head, has_body=has_body))
            next_answer = ok(b"Content-Length: 4", body=b"next")
            after = await (await open_caller(stack, relay.port)).ask(get())
            told[answer.about] = (interim, message, after)
    return told


@pytest.mark.parametrize("answer", ANSWERS, ids=about)
def test_an_answer_is_passed_on_or_is_502(answer, told):
    """What is in order arrives as it is; what is not says so; the next caller sees none of it."""
    interim, message, after = told[answer.about]

    assert message.status == answer.status
    assert interim == list(answer.interim)
    assert message.is_whole == answer.is_whole
    if answer.fields is None:
        assert message.values(b"hookloop-error") == [b"upstream_broken"]
    else:
        assert [b": ".join(pair) for pair in message.fields] == list(answer.fields)
        assert message.body == answer.body
    assert [b": ".join(pair) for pair in message.trailers] == list(answer.trailers)
    assert (after.status, after.body) == (200, b"next")


# --- the page ----------------------------------------------------------------------------


def rows(heading: str) -> list[tuple[str, str]]:
    """Return the two columns of the table below *heading*."""
    part = PAGE.partition(f"## {heading}\n")[2].partition("\n## ")[0]
    found = re.findall(r"^\| (.+?) \| (.+?) \|$", part, re.MULTILINE)
    return found[1:]  # without the head of the table


def tables() -> dict[str, list[tuple[str, str]]]:
    """Return what stands under the page's headings; a script writes it there."""
    return {
        "Requests that are refused": sorted((case.about, str(case.status)) for case in REFUSED),
        "Requests that are passed on": sorted(
            (case.about, str(len(case.requests))) for case in PASSED
        ),
        "Answers": sorted((answer.about, answer.told) for answer in ANSWERS),
    }


@pytest.mark.parametrize("heading", list(tables()))
def test_the_page_tells_all_that_is_in_the_table(heading):
    """And nothing else. Where it does not, run scripts/write_http_behaviour.py."""
    assert rows(heading) == tables()[heading]


def test_what_the_page_says_of_time_is_tested():
    """Each rule names its test."""
    named = re.findall(r"`(test_\w+)`", PAGE)
    sources = "".join(path.read_text() for path in Path(__file__).parent.glob("test_*.py"))

    assert named
    assert [name for name in named if f"def {name}(" not in sources] == []
