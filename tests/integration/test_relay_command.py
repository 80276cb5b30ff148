"""`hookloop relay` as a platform team runs it: a process, a file of tokens, signals, a log."""

import asyncio
import json
import signal
import subprocess
import sys
from contextlib import AsyncExitStack, asynccontextmanager

import pytest
from click.testing import Result
from tunnel_loop import (
    DOMAIN,
    TOKEN,
    agent_config,
    echo,
    get,
    on_a_loop,
    open_caller,
    post,
    running_upstream,
    soon,
    until,
)
from typer.testing import CliRunner

from hookloop.cli.app import app
from hookloop.errors import RefusedError
from hookloop.tunnel.agent import running_agent

COMMAND = [sys.executable, "-m", "hookloop", "relay"]


class RelayProcess:
    """A running `hookloop relay --json`, and what it said."""

    def __init__(self, process) -> None:
        self.process = process
        self.facts: dict[str, str] = {}
        self.log: list[str] = []

    @property
    def url(self) -> str:
        return self.facts["relay"]

    @property
    def port(self) -> int:
        return int(self.url.rpartition(":")[2])

    async def read_facts(self, last: str) -> None:
        while last not in self.facts:
            line = await soon(self.process.stdout.readline())
            assert line, f"it ended at once: {self.log}"
            fact = json.loads(line)
            self.facts[fact["fact"]] = fact["value"]

    async def read_log(self) -> None:
        async for line in self.process.stderr:
            self.log.append(line.decode())

    async def ended(self) -> int:
        code = await soon(self.process.wait())
        await soon(self._reading)
        return code


@asynccontextmanager
async def running(*arguments, last="tunnels"):
    process = await asyncio.create_subprocess_exec(
        *COMMAND, "--port", "0", "--json", *map(str, arguments), stdout=-1, stderr=-1
    )
    relay = RelayProcess(process)
    relay._reading = asyncio.ensure_future(relay.read_log())
    try:
        await relay.read_facts(last)
        yield relay
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()
        await relay._reading


def token_command(path, *arguments) -> Result:
    return CliRunner().invoke(app, ["relay", "token", *arguments, "--tokens", str(path)])


def made_token(path, *arguments) -> dict:
    done = token_command(path, "create", "--json", *arguments)
    assert done.exit_code == 0, done.stderr
    return json.loads(done.stdout)


async def hold(config, is_up) -> None:
    """Keep an agent until the relay refuses it."""
    async with running_agent(config) as agent:
        is_up.set_result(agent.url)
        await asyncio.Event().wait()


# --- tokens -------------------------------------------------------------------------------


@on_a_loop
async def test_tokens_come_and_go_while_the_relay_runs(tmp_path):
    """Made, used, and revoked: the session ends, and the agent is told that it is for good."""
    path = tmp_path / "tokens.json"
    made_token(path, "somebody else")
    async with (
        running("--domain", DOMAIN, "--tokens", path, "--log-format", "json") as relay,
        running_upstream(echo) as port,
    ):
        made = made_token(path, "team", "--name", "shop")
        is_up = asyncio.get_running_loop().create_future()
        holding = asyncio.ensure_future(hold(agent_config(relay, port, token=made["token"]), is_up))
        assert await soon(is_up) == f"http://shop.{DOMAIN}:{relay.port}"
        assert token_command(path, "revoke", "team").exit_code == 0
        with pytest.raises(RefusedError) as refused:
            await soon(holding)
        relay.process.send_signal(signal.SIGTERM)
        assert await relay.ended() == 0

    assert refused.value.code == "bad_token"
    events = [json.loads(line) for line in relay.log]
    bound = next(event for event in events if event["event"] == "tunnel bound")
    assert (bound["tunnel"], bound["token"]) == ("shop", made["id"])
    assert any(event["event"] == "token ended" for event in events)
    assert made["token"].rpartition("_")[2] not in "".join(relay.log) + path.read_text()


@on_a_loop
async def test_a_file_broken_by_hand_keeps_the_tokens_it_had(tmp_path):
    """And says so; the next good one counts."""
    path = tmp_path / "tokens.json"
    made = made_token(path, "team")
    good = path.read_text()
    async with running("--tokens", path) as relay:
        path.write_text(good.replace("{", "", 1))
        async with running_agent(agent_config(relay, 1, token=made["token"])):
            await until(lambda: any("tokens not read" in line for line in relay.log))
        path.write_text(good)
        await until(lambda: any("tokens read" in line for line in relay.log))


def test_tokens_are_listed_without_their_secrets(tmp_path):
    """For people, and for programs."""
    path = tmp_path / "tokens.json"
    made = made_token(path, "Zoë", "--name", "ci-*", "--expires", "2w", "--sessions-max", "3")
    shown = token_command(path, "list").stdout
    listed = json.loads(token_command(path, "list", "--json").stdout)

    assert made.pop("token") not in shown
    assert listed == made
    assert (made["names"], made["sessions_max"], made["tunnels_max"]) == (["ci-*"], 3, None)
    assert made["expires"] - made["created"] == 14 * 86_400
    assert shown.split("\n")[1].split()[:2] == [made["id"], "Zoë"]


def test_a_token_is_shown_once_with_the_command_that_uses_it(tmp_path):
    """Whoever is handed it can paste it."""
    done = token_command(tmp_path / "tokens.json", "create", "team", "--name", "shop")

    token = done.stdout.split()[1]
    assert f"HOOKLOOP_TOKEN={token} hookloop http 3000 --relay URL --name shop" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "fault"),
    [
        (["create", "x", "--expires", "soon"], "is no time for --expires"),
        (["create", "x", "--expires", "2020-01-01"], "has passed"),
        (["create", "x", "--name", "A B"], "cannot be reserved"),
        (["create", "x", "--sessions-max", "0"], "give 1 or more"),
        (["revoke", "nobody"], "no token 'nobody'"),
        (["revoke", "twin"], "several tokens have the label 'twin'"),
    ],
)
def test_what_cannot_be_done_with_tokens_is_said(tmp_path, arguments, fault):
    """In a sentence, and the file stays as it is."""
    path = tmp_path / "tokens.json"
    for _ in range(2):
        made_token(path, "twin")
    before = path.read_bytes()
    done = token_command(path, *arguments)

    assert (done.exit_code, path.read_bytes()) == (2, before)
    assert fault in done.stderr


# --- settings -----------------------------------------------------------------------------


@on_a_loop
async def test_options_go_before_the_file(tmp_path):
    """Several domains; the file's other settings hold."""
    path = tmp_path / "relay.toml"
    path.write_text(
        f'domain = "file.test"\nhost = "127.0.0.1"\nport = 1\ntokens = ["{TOKEN}"]\nadmin_port = 0'
    )
    arguments = ["--config", path, "--domain", DOMAIN, "--domain", "eu.test"]
    async with running(*arguments, last="admin") as relay, running_upstream(echo) as port:
        agent = agent_config(relay, port, name="shop.eu.test")
        async with running_agent(agent) as running_one, AsyncExitStack() as stack:
            caller = await open_caller(stack, relay.port)
            answer = await caller.ask(post(b"hi", host=b"shop.eu.test:80"))

    assert relay.facts["tunnels"].startswith(f"http://NAME.{DOMAIN}:")
    assert relay.facts["also"] == f"http://NAME.eu.test:{relay.port}"
    assert running_one.url == f"http://shop.eu.test:{relay.port}"
    assert (answer.status, answer.body) == (200, b"hi")


@pytest.mark.parametrize(
    ("arguments", "fault"),
    [
        (["--config", "none.toml"], "none.toml cannot be read"),
        (["--tokens", "none.json"], "there is no token file none.json"),
        (["--trusted-proxy", "x"], "'x' is not a network"),
        (["--proxy-protocol"], "name yours with --trusted-proxy"),
        (["--admin", "here"], "'here' is no address for --admin"),
        (["--log-format", "xml"], "log_format is 'xml'"),
    ],
)
def test_a_setting_that_cannot_work_ends_the_command_with_a_sentence(arguments, fault, tmp_path):
    """Code 2, and no traceback."""
    done = subprocess.run(
        [*COMMAND, "--port", "0", *arguments],
        capture_output=True,
        text=True,
        check=False,
        cwd=tmp_path,
    )

    assert (done.returncode, done.stdout) == (2, "")
    assert fault in done.stderr
    assert "Traceback" not in done.stderr


# --- signals ------------------------------------------------------------------------------


@on_a_loop
async def test_the_first_sigterm_drains_and_the_second_ends_at_once():
    """A supervisor that has lost patience is not argued with."""
    begun = asyncio.Event()

    async def never(served):
        begun.set()
        await served.reader.read()

    async with (
        running("--domain", DOMAIN, "--token", TOKEN) as relay,
        running_upstream(never) as port,
        running_agent(agent_config(relay, port)),
        AsyncExitStack() as stack,
    ):
        waiting = await open_caller(stack, relay.port)
        await waiting.send(get())
        await soon(begun.wait())
        idle = await open_caller(stack, relay.port)
        relay.process.send_signal(signal.SIGTERM)
        await idle.rest()  # closed: the relay drains, and still serves the other one
        assert relay.process.returncode is None
        relay.process.send_signal(signal.SIGTERM)
        assert await relay.ended() == -signal.SIGTERM


def test_a_token_that_may_have_its_own_names_only_is_listed_so(tmp_path):
    """Without a word of it, it looks like one that may have any name beside."""
    path = tmp_path / "tokens.json"
    made_token(path, "ci", "--name", "ci-*", "--own-names-only")

    assert "ci-* (no others)" in token_command(path, "list").stdout
