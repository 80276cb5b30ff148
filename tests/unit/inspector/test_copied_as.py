"""Copies of a captured request: run, they send the same bytes."""

import json
import os
import subprocess
import sys
from hashlib import sha256
from types import SimpleNamespace

import pytest

from hookloop.exchange import RequestHead
from hookloop.inspector.captured import Captured, CapturedBody, WebhookFacts
from hookloop.inspector.copied_as import as_curl, as_httpx, as_pytest
from hookloop.testing import sign

BODIES = [
    b"",
    b'{\n  "id": "evt_1",\n  "object": "event",\n  "type": "invoice.paid"\n}',
    b"@/etc/passwd",
    b'it\'s $(touch /tmp/x) `id` \\ "quoted" \xe2\x9c\x93\n\ttabs',
    bytes(range(256)),
    b"a\0b",
]


CURL = """#!{python}
import json, sys
told = sys.argv[1:]
body = told[told.index("--data-binary") + 1] if "--data-binary" in told else ""
data = sys.stdin.buffer.read() if body == "@-" else body.encode()
print(json.dumps([told, data.hex()]))
"""


def captured(body, headers=((b"X-Odd", b'it\'s "odd" $HOME'),), facts=None):
    return Captured(
        id="cap_1",
        tunnel="shop",
        started_at=1.0,
        request=RequestHead(b"POST", b"/hooks?a='b", ((b"Host", b"public.example"), *headers)),
        request_body=CapturedBody(body, len(body), sha256(body).digest()),
        webhook=facts,
    )


@pytest.mark.parametrize("body", BODIES)
def test_curl_is_told_the_same_bytes(tmp_path, body):
    """Pasted into a shell, which runs nothing of what a stranger sent; curl is a stand-in."""
    curl = tmp_path / "curl"
    curl.write_text(CURL.format(python=sys.executable))
    curl.chmod(0o755)
    command = as_curl(captured(body), "http://localhost:3000/")

    done = subprocess.run(
        ["sh", "-c", command],
        env={"PATH": f"{tmp_path}:{os.environ['PATH']}"},
        capture_output=True,
        check=True,
        timeout=60,
    )

    told, data = json.loads(done.stdout)
    assert bytes.fromhex(data) == body
    assert told[:2] == ["--request", "POST"]
    assert told[-1] == "http://localhost:3000/hooks?a='b"
    assert told[told.index("--header") + 1] == 'X-Odd: it\'s "odd" $HOME'
    assert "public.example" not in command


@pytest.mark.parametrize("body", BODIES)
def test_the_script_for_httpx_is_python_that_says_the_same(body):
    """Run with a stand-in for httpx, which not everybody has."""
    calls = []

    def request(*told, **named):
        calls.append((told, named))
        return SimpleNamespace(status_code=204, text="")

    stand_in = SimpleNamespace(request=request)
    script = as_httpx(captured(body), "http://localhost:3000")
    code = compile(script.replace("import httpx", ""), "copied", "exec")
    exec(code, {"httpx": stand_in})

    ((method, url), named) = calls[0]
    assert (method, url, named["content"]) == ("POST", "http://localhost:3000/hooks?a='b", body)
    assert ("X-Odd", 'it\'s "odd" $HOME') in named["headers"]


APP = """
from hookloop import Hooks

hooks = Hooks(secrets="whsec_mine")
hooks.on("invoice.paid")(lambda event: None)
app = hooks.asgi
"""
FACTS = WebhookFacts("stripe", "invoice.paid", "evt_1")


def run_test_file(tmp_path, text):
    (tmp_path / "app.py").write_text(APP)
    (tmp_path / "test_copied.py").write_text(text)
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_copied.py"]
    return subprocess.run(
        command, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=120
    )


def test_the_test_file_signs_and_sends(tmp_path):
    """The made file is run by a pytest of its own, against an app with another secret."""
    signed = sign(BODIES[1], "whsec_theirs", signed_at=1.0)
    headers = tuple((k.encode(), v.encode()) for k, v in signed.headers)
    text = as_pytest(captured(BODIES[1], headers, FACTS))
    assert "def test_invoice_paid():" in text

    done = run_test_file(tmp_path, text.replace("whsec_...", "whsec_mine"))
    wrong = run_test_file(tmp_path, text)

    assert "1 passed" in done.stdout, done.stdout + done.stderr
    assert "1 failed" in wrong.stdout
    assert "theirs" not in text


def test_a_request_nobody_signs_is_sent_with_its_headers(tmp_path):
    """As one of a sender we know nothing of."""
    text = as_pytest(captured(bytes(range(256))))
    assert "def test_request():" in text

    text = text.replace("200 <= answer.status < 300", "answer.status == 400")
    done = run_test_file(tmp_path, text)

    assert "1 passed" in done.stdout, done.stdout + done.stderr
