"""An example of examples/ as its reader starts it: by the command in its docstring."""

import ast
import http.client
import json
import os
import queue
import re
import shlex
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from hookloop.signing import stripe_signature_header

ROOT = Path(__file__).parents[2]
WEBHOOKS = "/webhooks/stripe"
SECRET = "whsec_of_the_examples"
SERVED = [
    "customers.py",
    "django_app.py",
    "django_project/manage.py",
    "fastapi_app.py",
    "flask_app.py",
    "starlette_app.py",
    "wsgi_app.py",
]
START_SECONDS = 60.0  # two busy cores import FastAPI and Django in three
ANSWER_SECONDS = 30.0

_COMMAND = re.compile(r"^    STRIPE_WEBHOOK_SECRET=whsec_\.\.\. (.+)$", re.MULTILINE)
_ADDRESS = re.compile(r"http://127\.0\.0\.1:(\d+)")


def commands(example: str) -> list[list[str]]:
    """Return the commands in the docstring of *example*, as arguments of this Python."""
    text = ast.get_docstring(ast.parse((ROOT / "examples" / example).read_text()), clean=False)
    return [_as_arguments(line) for line in _COMMAND.findall(text or "")]


def served() -> list[tuple[str, list[str]]]:
    """Return every command of every example that is a server, with a name for each."""
    return [
        (f"{example}-{number}" if number else example, command)
        for example in SERVED
        for number, command in enumerate(commands(example))
    ]


def _as_arguments(line: str) -> list[str]:
    program, *rest = shlex.split(line.partition(" < ")[0])
    module = [] if program == "python" else ["-m", program]
    # Any free port; and one process, which ends when it is told to.
    rest = ["0" if word == "3000" else word for word in rest]
    if "runserver" in rest:
        rest.insert(rest.index("runserver") + 1, "--noreload")
    return [sys.executable, *module, *rest]


def environment(secret: str = SECRET) -> dict[str, str]:
    """Return what an example runs in: its secret, and warnings that are errors."""
    return {
        **os.environ,
        "STRIPE_WEBHOOK_SECRET": secret,
        "PYTHONPATH": str(ROOT / "src"),
        "PYTHONWARNINGS": "error",
        "PYTHONUNBUFFERED": "1",
    }


class ExampleProcess:
    """A running example: what it answers, and what it prints."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process
        self._lines: queue.Queue[str | None] = queue.Queue()
        self._seen: list[str] = []
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        self.port = 0

    def wait_started(self) -> None:
        """Return once it has told where it listens."""
        self.port = int(self.wait_for(_ADDRESS)[1])

    def end(self) -> None:
        """Stop it, and read what it had left to say."""
        self._process.terminate()
        self._process.wait()
        self._reader.join()
        self._process.stdout.close()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}{WEBHOOKS}"

    def wait_for(self, pattern: re.Pattern[str]) -> re.Match[str]:
        """Return the first match of *pattern* in a line not looked at before."""
        while True:
            try:
                line = self._lines.get(timeout=START_SECONDS)
            except queue.Empty:
                line = None
            output = "".join(self._seen)
            assert line is not None, f"no {pattern.pattern!r} in the example's output:\n{output}"
            self._seen.append(line)
            found = pattern.search(line)
            if found is not None:
                return found

    def ask(
        self, method: str, path: str, body: bytes = b"", headers: dict[str, str] | None = None
    ) -> http.client.HTTPResponse:
        """Return the answer to one request; redirects are not followed, as at Stripe."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=ANSWER_SECONDS)
        try:
            connection.request(method, path, body, headers or {})
            response = connection.getresponse()
            response.body = response.read()  # read before the connection goes
        finally:
            connection.close()
        return response

    def send(self, event: dict, path: str = WEBHOOKS, *, secret: str = SECRET):
        """Return the answer to *event*, signed with *secret* as Stripe does."""
        body = json.dumps(event).encode()
        header = stripe_signature_header(body, [secret], signed_at=int(time.time()))
        headers = {"Content-Type": "application/json", "Stripe-Signature": header}
        return self.ask("POST", path, body, headers)

    def customer_name(self, customer_id: str) -> str | None:
        """Return what the example has remembered of a customer."""
        return json.loads(self.ask("GET", f"/customers/{customer_id}").body)["name"]

    def _read(self) -> None:
        for line in self._process.stdout:
            self._lines.put(line)
        self._lines.put(None)


@contextmanager
def running_example(command: list[str], secret: str = SECRET) -> Iterator[ExampleProcess]:
    """Start *command* in the checkout, and end it."""
    process = subprocess.Popen(
        command,
        cwd=ROOT,
        env=environment(secret),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    example = ExampleProcess(process)
    try:
        example.wait_started()
        yield example
    finally:
        example.end()
