"""`hookloop tcp` and `hookloop tls`, as processes beside a `hookloop relay`."""

import asyncio
import json
import ssl
import sys
from contextlib import asynccontextmanager

import pytest
from made_certificates import Authority
from test_raw_tunnels import echo_bytes, echo_bytes_of_tls, running_server
from tunnel_loop import TOKEN, free_port, on_a_loop, soon
from typer.testing import CliRunner

from hookloop.cli.app import app

DOMAIN = "tun.localhost"


@asynccontextmanager
async def running(*arguments):
    """Run a command; yield a function that reads its lines of JSON up to one with a key."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "hookloop", *map(str, arguments), stdout=-1, stderr=-1
    )

    async def line_with(key, value):
        while True:
            line = await soon(process.stdout.readline())
            assert line, (await process.stderr.read()).decode()
            told = json.loads(line)
            if told.get(key) == value:
                return told

    try:
        yield line_with
    finally:
        if process.returncode is None:
            process.terminate()
        await soon(process.communicate())
    assert process.returncode == 0


@on_a_loop
async def test_a_local_service_gets_a_public_port():
    """And each connection is told of at its end."""
    port = free_port()
    relay = ("relay", "--json", "--port", 0, "--token", TOKEN, "--tcp-ports", port)
    async with running_server(echo_bytes) as upstream, running(*relay) as relay_line:
        url = (await relay_line("fact", "relay"))["value"]
        tcp = ("tcp", upstream, "--relay", url, "--token", TOKEN, "--json")
        async with running(*tcp) as agent_line:
            started = await agent_line("msg", "started tunnel")
            reader, writer = await soon(asyncio.open_connection("127.0.0.1", port))
            writer.write(b"hello")
            writer.write_eof()

            assert started["url"] == f"tcp://{DOMAIN}:{port}"
            assert await soon(reader.read()) == b"hello"
            writer.close()
            ended = await agent_line("msg", "connection ended")
            assert (ended["bytes_in"], ended["bytes_out"]) == (5, 5)


@on_a_loop
async def test_without_a_relay_there_is_one_on_this_machine():
    """To try it."""
    async with (
        running_server(echo_bytes) as upstream,
        running("tcp", upstream, "--json") as agent_line,
    ):
        url = (await agent_line("msg", "started tunnel"))["url"]
        port = int(url.rpartition(":")[2])
        reader, writer = await soon(asyncio.open_connection("127.0.0.1", port))
        writer.write(b"hello")
        assert await soon(reader.readexactly(5)) == b"hello"
        writer.close()


@on_a_loop
async def test_a_service_with_its_own_certificate_gets_a_public_name(tmp_path):
    """The relay has another one, for all other names."""
    authority = Authority(tmp_path / "relay")
    ours = authority.issue("relay", DOMAIN, f"*.{DOMAIN}")
    theirs = Authority(tmp_path / "service")
    files = theirs.issue("service", f"shop.{DOMAIN}")
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(files.certificate, files.key)
    relay = ("relay", "--json", "--port", 0, "--domain", DOMAIN, "--token", TOKEN)
    certificates = ("--tls-cert", ours.certificate, "--tls-key", ours.key)
    async with (
        running_server(echo_bytes_of_tls, ssl=context) as upstream,
        running(*relay, *certificates) as relay_line,
    ):
        url = (await relay_line("fact", "relay"))["value"]
        trusted = ("--relay", url, "--token", TOKEN, "--ca-file", authority.ca_file)
        async with running("tls", upstream, "--name", "shop", *trusted, "--json") as agent_line:
            port = int(url.rpartition(":")[2])
            started = await agent_line("msg", "started tunnel")
            assert started["url"] == f"tls://shop.{DOMAIN}:{port}"
            reader, writer = await soon(
                asyncio.open_connection(
                    "127.0.0.1",
                    port,
                    ssl=theirs.client_context(),
                    server_hostname=f"shop.{DOMAIN}",
                )
            )
            writer.write(b"hello")
            assert await soon(reader.readexactly(5)) == b"hello"
            writer.close()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["tcp", "5432", "--remote-port", "70000"], "70000 is no public port"),
        (["tcp", "5432", "--proxy-protocol", "v3"], "use v1 or v2"),
        (["tcp", "./folder"], "a folder is served over http"),
        (["relay", "--tcp-ports", "many"], "is no range of ports"),
    ],
)
def test_what_cannot_work_is_said_in_a_sentence(arguments, said):
    """With an exit code that is not 0."""
    result = CliRunner().invoke(app, arguments)

    assert result.exit_code != 0
    assert said in result.output
