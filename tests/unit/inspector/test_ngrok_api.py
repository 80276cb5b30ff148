"""ngrok's local API: shapes, statuses and error bodies, byte for byte where programs look."""

import asyncio
import json

import pytest
from starlette.applications import Starlette

from hookloop.errors import ConfigError, RefusedError
from hookloop.inspector.ngrok_api import NotReadyError, ngrok_api
from hookloop.inspector.ngrok_resources import TunnelView
from hookloop.meter import Reading
from hookloop.testing.signed_request import SignedRequest
from hookloop.testing.through_asgi import through_asgi

READING = Reading(3, 1, 0.5, 0.25, 0.125, 0.001, 0.002, 0.003, 0.004)
JSON = [("Content-Type", "application/json"), ("Host", "localhost:4040")]


class Agent:
    version = "3.30.0"
    relay = "https://tun.example"
    is_online = True
    latency_seconds = 0.0871

    def __init__(self):
        self.open = [view("command_line (http)")]
        self.fails = None

    def tunnels(self):
        return self.open

    async def start(self, definition, *, is_endpoint):
        if self.fails:
            raise self.fails
        self.open.append(view(definition["name"]))
        return self.open[-1]

    def stop(self, name):
        self.open = [each for each in self.open if each.name != name]


def view(name):
    return TunnelView(
        name, "https://x.tun.example", "http://localhost:80", "http", READING, READING
    )


def ask(agent, method, path, body=b"", headers=JSON):
    if isinstance(body, dict):
        body = json.dumps(body).encode()
    app = Starlette(routes=ngrok_api(agent))
    answer = asyncio.run(through_asgi(app, SignedRequest(body, headers), method, path, 30.0))
    return answer.status, json.loads(answer.body) if answer.body else None


def test_the_root_says_where_the_rest_is():
    """As ngrok's does."""
    assert ask(Agent(), "GET", "/api") == (
        200,
        {"tunnels_uri": "/api/tunnels", "http_requests_uri": "/api/requests/http"},
    )


def test_a_tunnel_as_ngrok_shows_it():
    """Its uri has the name escaped; percentiles are nanoseconds, and http has no gauge."""
    status, body = ask(Agent(), "GET", "/api/tunnels/command_line%20%28http%29")

    assert status == 200
    assert list(body) == ["name", "ID", "uri", "public_url", "proto", "config", "metrics"]
    assert body["uri"] == "/api/tunnels/command_line%20%28http%29"
    assert len(bytes.fromhex(body["ID"])) == 16
    assert body["proto"] == "https"
    assert body["metrics"]["conns"]["gauge"] == 1
    assert "gauge" not in body["metrics"]["http"]
    assert body["metrics"]["http"]["p50"] == pytest.approx(1_000_000)


def test_an_endpoint_as_version_3_shows_it():
    """Metrics are in the detail alone."""
    _, listed = ask(Agent(), "GET", "/api/endpoints")
    _, detail = ask(Agent(), "GET", listed["endpoints"][0]["uri"])

    assert "metrics" not in listed["endpoints"][0]
    assert detail["upstream"] == {"url": "http://localhost:80", "protocol": "http1"}
    assert detail["metrics"]["http"]["count"] == 3


def test_starting_stopping_and_putting():
    """201, 204; PUT is 201 for a new one and 200 for one that was there."""
    agent = Agent()

    assert ask(agent, "POST", "/api/tunnels", {"name": "a", "addr": 80})[0] == 201
    assert ask(agent, "PUT", "/api/endpoints/b", {"upstream": {"url": "80"}})[0] == 201
    assert ask(agent, "PUT", "/api/endpoints/b", {"upstream": {"url": "81"}})[0] == 200
    assert [each.name for each in agent.open] == ["command_line (http)", "a", "b"]
    assert ask(agent, "DELETE", "/api/tunnels/a") == (204, None)
    assert ask(agent, "DELETE", "/api/endpoints/b") == (204, None)
    assert len(agent.open) == 1


def test_the_status():
    """Latency in whole milliseconds, as text."""
    assert ask(Agent(), "GET", "/api/status") == (
        200,
        {
            "status": "online",
            "agent_version": "3.30.0",
            "session": {"legs": [{"region": "https://tun.example", "latency": "87ms"}]},
            "uri": "/api/status",
        },
    )


@pytest.mark.parametrize(
    ("method", "path", "status", "message", "details", "code"),
    [
        ("GET", "/api/x", 404, "Not Found", {"path": "/api/x"}, None),
        (
            "PUT",
            "/api/tunnels",
            405,
            "Method Not Allowed",
            {"allowed": "POST, GET", "method": "PUT"},
            None,
        ),
        ("GET", "/api/tunnels/none", 404, "tunnel not found", {"name": "none"}, 100),
        ("DELETE", "/api/tunnels/none", 404, "tunnel not found", {"name": "none"}, 100),
    ],
)
def test_what_is_not_there(method, path, status, message, details, code):
    """The bodies that ngrok 2.3.41 gave; what its HTTP framework answers has no error_code."""
    expected = {"status_code": status, "msg": message, "details": details}
    if code is not None:
        expected = {"error_code": code, **expected}
    assert ask(Agent(), method, path) == (status, expected)


@pytest.mark.parametrize(
    ("definition", "why"),
    [
        ({"addr": 80}, "Tunnel declaration must contain a 'name'"),
        ({"name": "x"}, "Tunnel 'x' must specify 'addr' to tunnel to"),
        (
            {"name": "x", "addr": 80, "proto": "invalid-proto"},
            "Invalid protocol name 'invalid-proto'",
        ),
        (
            {"name": "x", "addr": 80, "bind_tls": "maybe"},
            "HTTP tunnel 'x' specifies invalid 'bind_tls': maybe",
        ),
    ],
)
def test_a_definition_that_cannot_be(definition, why):
    """Its users look for these sentences."""
    assert ask(Agent(), "POST", "/api/tunnels", definition) == (
        400,
        {
            "error_code": 102,
            "status_code": 400,
            "msg": "invalid tunnel configuration",
            "details": {"err": why},
        },
    )


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [
        (ConfigError("no"), 400, 102),
        (RefusedError("name_taken", "no"), 502, 103),
        (NotReadyError("no"), 503, 104),
    ],
)
def test_a_tunnel_that_does_not_start(error, status, code):
    """Each blames whom it should."""
    agent = Agent()
    agent.fails = error

    answered, body = ask(agent, "POST", "/api/tunnels", {"name": "a", "addr": 80})

    assert (answered, body["error_code"]) == (status, code)


def test_a_form_is_refused():
    """Any page can post one to localhost."""
    form = [("Content-Type", "application/x-www-form-urlencoded")]
    status, body = ask(Agent(), "POST", "/api/tunnels", b"name=a&addr=80", form)

    assert status == 415
    assert body["msg"] == "unsupported request Content-Type"
    assert body["details"]["content-type"] == "application/x-www-form-urlencoded"


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"[" * 100_000])
def test_what_is_no_json_object(body):
    """400, whatever it is."""
    status, answer = ask(Agent(), "POST", "/api/tunnels", body)

    assert status == 400
    assert answer["msg"] == "failed to deserialize request parameter"
