"""Upstreams that are no plain port: TLS, a Unix socket, a folder."""

import asyncio
import ssl
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest
import trustme
from tunnel_loop import (
    TOKEN,
    Served,
    free_port,
    get,
    loop_of,
    on_a_loop,
    post,
    read_head,
    soon,
)

from hookloop.errors import ConfigError
from hookloop.tunnel.agent import TunnelConfig
from hookloop.tunnel.agent.address import Folder, Upstream, parse_upstream
from hookloop.tunnel.agent.folder import running_folder
from hookloop.tunnel.agent.upstream_dial import upstream_tls


@asynccontextmanager
async def listening(*, path: str | None = None, tls: ssl.SSLContext | None = None):
    """Answer one request a connection with its Host and its body; yield the port."""
    writers = []

    async def serve(reader, writer):
        writers.append(writer)
        try:
            served = Served(await read_head(reader), reader, writer)
            [host] = served.request.values(b"host")
            await served.answer(host + b" " + await served.body())
        except (asyncio.IncompleteReadError, ConnectionError):
            pass

    if path is not None:
        server = await asyncio.start_unix_server(serve, path)
    else:
        server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=tls)
    try:
        yield None if path is not None else server.sockets[0].getsockname()[1]
    finally:
        server.close()
        for writer in writers:
            writer.transport.abort()
        await server.wait_closed()


async def through(loop, upstream: Upstream, request: bytes | None = None):
    """Ask by a tunnel of its own."""
    tunnel = loop.agent.add_tunnel(TunnelConfig(upstream, "kind"))
    await soon(tunnel.wait_up())
    asked = (request or post(b"body")).replace(b"Host: shop.", b"Host: kind.")
    answer = await loop.ask(asked)
    loop.agent.remove_tunnel("kind")
    return answer


@on_a_loop
async def test_a_unix_socket_is_an_upstream(tmp_path):
    """Its Host is localhost, as apps behind one expect."""
    path = str(tmp_path / "app.sock")
    async with loop_of() as loop, listening(path=path):
        answer = await through(loop, parse_upstream(f"unix:{path}"))

    assert (answer.status, answer.body) == (200, b"localhost body")


@on_a_loop
async def test_a_unix_socket_that_is_missing_is_502(tmp_path):
    """With its path, and what to look at."""
    async with loop_of() as loop:
        answer = await through(loop, parse_upstream(f"unix:{tmp_path}/none.sock"))

    assert answer.status == 502
    assert b"none.sock: No such file or directory. Is the app running?" in answer.body


@pytest.fixture(scope="module")
def authority():
    return trustme.CA()


def served_by(authority: trustme.CA, name: str) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(name).configure_cert(context)
    return context


@on_a_loop
async def test_an_https_upstream_is_verified(authority, tmp_path):
    """By the machine's authorities and those of --upstream-ca; or not, where that is asked for."""
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    async with loop_of() as loop, listening(tls=served_by(authority, "localhost")) as port:
        plain = Upstream("localhost", port, "https")
        refused = await through(loop, plain)
        trusted = await through(loop, replace(plain, ca_file=str(tmp_path / "ca.pem")))
        insecure = await through(loop, replace(plain, is_verified=False))

    assert refused.status == 502
    assert b"its certificate is not trusted" in refused.body
    assert b"--upstream-insecure" in refused.body
    assert trusted.body == insecure.body == b"localhost:%d body" % port


@on_a_loop
async def test_a_certificate_for_another_name_is_not_taken(authority, tmp_path):
    """Though its authority is known."""
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    async with loop_of() as loop, listening(tls=served_by(authority, "other.test")) as port:
        ca_file = str(tmp_path / "ca.pem")
        answer = await through(loop, Upstream("localhost", port, "https", ca_file=ca_file))

    assert answer.status == 502
    assert b"its certificate is not trusted (Hostname mismatch" in answer.body


@on_a_loop
async def test_https_to_an_upstream_without_tls_says_so():
    """The commonest mistake of all."""

    async def serve(reader, writer):
        await reader.read(1)
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")  # as every server of HTTP does
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with loop_of() as loop, server:
        answer = await through(loop, Upstream("127.0.0.1", port, "https"))

    assert answer.status == 502
    assert b"it does not speak TLS: is it http://127.0.0.1:%d?" % port in answer.body


@on_a_loop
async def test_an_https_upstream_that_is_down_is_502():
    """As any other."""
    async with loop_of() as loop:
        answer = await through(loop, Upstream("127.0.0.1", free_port(), "https"))

    assert answer.status == 502
    assert b"Connection refused. Is the app running?" in answer.body


def test_certificates_that_cannot_be_read_are_refused(tmp_path):
    """At the start, and not at the first request."""
    (tmp_path / "no.pem").write_text("nothing")
    for ca_file in (tmp_path / "no.pem", tmp_path / "missing.pem"):
        with pytest.raises(ConfigError, match=ca_file.name):
            upstream_tls(Upstream("localhost", 1, "https", ca_file=str(ca_file)))


@on_a_loop
async def test_a_folder_is_an_upstream(tmp_path):
    """Its redirects lead to the public address."""
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "index.html").write_text("<h1>docs</h1>")
    async with loop_of() as loop, running_folder(Folder(tmp_path)) as upstream:
        page = await through(loop, upstream, get(b"/docs/"))
        moved = await through(loop, upstream, get(b"/docs"))

    assert (page.status, page.body) == (200, b"<h1>docs</h1>")
    assert moved.values(b"location") == [b"http://kind.tun.test/docs/"]
    assert TOKEN not in str(upstream)
