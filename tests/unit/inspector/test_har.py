"""HAR out and in again; and what others write."""

import json
from hashlib import sha256

import pytest

from hookloop.errors import ConfigError
from hookloop.exchange import RequestHead, ResponseHead
from hookloop.inspector.captured import Captured, CapturedBody
from hookloop.inspector.har import from_har, to_har


def body(data):
    return CapturedBody(data, len(data), sha256(data).digest())


def captured(asked=b"{}", answered=b"ok", **more):
    return Captured(
        **{
            "id": "cap_1",
            "tunnel": "shop",
            "remote": "192.0.2.1:5",
            "started_at": 1_700_000_000.25,
            "connected_seconds": 0.01,
            "responded_seconds": 0.2,
            "duration_seconds": 0.5,
            "request": RequestHead(
                b"POST",
                b"/hooks?a=1&b=",
                ((b"Host", b"shop.tun.example"), (b"X-A", b"1"), (b"x-a", b"\xe9")),
            ),
            "request_body": body(asked),
            "response": ResponseHead(200, b"OK", ((b"Content-Type", b"text/plain"),)),
            "response_body": body(answered),
            **more,
        }
    )


def read(document):
    return from_har(json.dumps(document).encode(), lambda started: f"new_{started}")


@pytest.mark.parametrize("data", [b"", b"{}", "süß\r\n".encode(), bytes(range(256))])
def test_out_and_in_again_is_the_same(data):
    """Heads and bodies bit for bit, binary ones too."""
    one = captured(data, data)

    (again,) = read(to_har([one], "1.0"))

    assert again.id == "new_1700000000.25"
    assert (again.request, again.request_body) == (one.request, one.request_body)
    assert (again.response, again.response_body) == (one.response, one.response_body)
    assert (again.started_at, again.duration_seconds) == (one.started_at, one.duration_seconds)
    assert again.note == "imported"


def test_what_har_wants_is_there():
    """Every field that the format calls for; timings add up."""
    document = to_har([captured()], "1.0")

    log = document["log"]
    (entry,) = log["entries"]
    assert log["version"] == "1.2"
    assert log["creator"] == {"name": "hookloop", "version": "1.0"}
    assert entry["startedDateTime"] == "2023-11-14T22:13:20.250000+00:00"
    assert entry["request"]["url"] == "http://shop.tun.example/hooks?a=1&b="
    assert entry["request"]["queryString"] == [
        {"name": "a", "value": "1"},
        {"name": "b", "value": ""},
    ]
    for key in ("cookies", "headers", "headersSize", "bodySize", "httpVersion"):
        assert key in entry["request"]
        assert key in entry["response"]
    assert sum(entry["timings"].values()) == pytest.approx(entry["time"])


def test_no_answer_is_status_0():
    """As browsers write it; and it comes back as none."""
    document = to_har([captured(response=None, response_body=body(b""), failure="refused")], "1.0")

    assert document["log"]["entries"][0]["response"]["status"] == 0
    (again,) = read(document)
    assert again.response is None
    assert again.failure == "refused"


def test_what_a_browser_wrote_is_read():
    """With names of HTTP/2 that are no fields, no body, and a byte order mark."""
    text = json.dumps(
        {
            "log": {
                "entries": [
                    {
                        "startedDateTime": "2026-11-25T12:00:00.000Z",
                        "time": 12,
                        "request": {
                            "method": "get",
                            "url": "https://example.com",
                            "headers": [{"name": ":authority", "value": "example.com"}],
                        },
                        "response": {"status": 304, "statusText": ""},
                    }
                ]
            }
        }
    )
    (one,) = from_har(b"\xef\xbb\xbf" + text.encode(), lambda _: "new")

    assert one.request == RequestHead(b"GET", b"/", ((b"Host", b"example.com"),))
    assert one.response == ResponseHead(304, b"", ())


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"{}",
        b"[]",
        b"\xff",
        b'{"log": {"entries": {}}}',
        b'{"log": {"entries": [1]}}',
        b'{"log": {"entries": [{"startedDateTime": "x", "request": {"url": "", "method": ""}}]}}',
        b"[" * 100_000,
    ],
)
def test_what_is_no_har_says_so(text):
    """One sentence, whatever it is."""
    with pytest.raises(ConfigError, match="HAR"):
        from_har(text, lambda _: "new")
