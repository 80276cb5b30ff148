"""The relay's own TLS: real handshakes on a real port, by both event loops."""

import asyncio
import json
import logging
import signal
import socket
import ssl
import struct
import sys
import time
import warnings
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import replace

import pytest
import uvloop
from made_certificates import Authority
from patience import PATIENCE
from tunnel_loop import (
    Caller,
    echo,
    get,
    is_clean,
    loop_of,
    on_a_loop,
    post,
    relay_config,
    soon,
    until,
)
from websockets.asyncio.client import connect
from websockets.asyncio.server import serve
from websockets.exceptions import ConnectionClosed

from hookloop.errors import ConfigError, RefusedError, RemoteError
from hookloop.tunnel.agent import running_agent
from hookloop.tunnel.agent.config import Upstream
from hookloop.tunnel.agent.dial import dial
from hookloop.tunnel.agent.trust import Trust, UntrustedError
from hookloop.tunnel.relay import running_relay
from hookloop.tunnel.relay.tls_settings import TlsSettings

# Below .localhost, which the agent knows to be this machine without any DNS.
DOMAIN = "tun.localhost"
HOST = f"shop.{DOMAIN}"
BOTH_LOOPS = pytest.mark.parametrize("loop_factory", [None, uvloop.new_event_loop])
TOKEN = "hlt_only-for-these-tests"


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="module")
def files(authority):
    return authority.issue("relay", DOMAIN, f"*.{DOMAIN}")


@asynccontextmanager
async def tls_relay(files, **settings):
    """Run a relay with TLS and nothing behind it."""
    config = relay_config(domain=DOMAIN, tls=TlsSettings(files=(files,), **settings))
    async with running_relay(config) as relay:
        yield relay
    await until(lambda: is_clean(relay))


def tls_loop(authority, files, app=echo, *, relay=None, agent=None, **settings):
    tls = TlsSettings(files=(files,), **settings)
    trust = Trust(ca_file=authority.ca_file)
    return loop_of(
        app,
        relay={"domain": DOMAIN, "tls": tls, **(relay or {})},
        agent={"trust": trust, **(agent or {})},
    )


async def tls_call(stack, relay, context, server_name=HOST):
    """Open a caller's connection by TLS."""
    opened = await soon(
        asyncio.open_connection("127.0.0.1", relay.port, ssl=context, server_hostname=server_name)
    )
    caller = Caller(*opened)
    stack.push_async_callback(caller.close)
    return caller


def certificate_of(caller):
    return caller.writer.get_extra_info("peercert")


async def raw_call(relay):
    return await soon(asyncio.open_connection("127.0.0.1", relay.port))


# --- through the tunnel -------------------------------------------------------------------


@BOTH_LOOPS
def test_callers_and_agent_meet_on_one_tls_port(authority, files, loop_factory):
    """And the URL says https, as the app is told."""

    async def echo_scheme(served):
        await served.body()
        await served.answer(served.request.values(b"X-Forwarded-Proto")[0])

    async def main():
        async with AsyncExitStack() as stack:
            loop = await stack.enter_async_context(tls_loop(authority, files, echo_scheme))
            caller = await tls_call(stack, loop.relay, authority.client_context())
            answers = [await caller.ask(post(b"x", host=HOST.encode())) for _ in range(2)]

            assert loop.agent.url == f"https://{HOST}:{loop.relay.port}"
            assert loop.relay.url == f"https://{DOMAIN}:{loop.relay.port}"
            assert [answer.body for answer in answers] == [b"https", b"https"]
            assert loop.relay.tls.statistics().done == 2
            sock = caller.writer.get_extra_info("ssl_object")
            assert sock.version() == "TLSv1.3"

    on_a_loop(main, loop_factory=loop_factory)()


@BOTH_LOOPS
def test_bodies_of_megabytes_come_back_whole(authority, files, loop_factory):
    """Both ways through two connections by TLS."""
    body = bytes(range(256)) * 16 * 1024

    async def main():
        async with AsyncExitStack() as stack:
            loop = await stack.enter_async_context(tls_loop(authority, files))
            caller = await tls_call(stack, loop.relay, authority.client_context())
            sending = asyncio.ensure_future(caller.send(post(body, host=HOST.encode())))
            answer = await caller.response()
            await sending

            assert answer.body == body

    on_a_loop(main, loop_factory=loop_factory)()


@BOTH_LOOPS
def test_a_caller_that_ends_its_side_disturbs_nobody(authority, files, loop_factory, caplog):
    """TLS has no half-close on either event loop; what matters is that neither complains."""

    async def main():
        async with AsyncExitStack() as stack:
            loop = await stack.enter_async_context(tls_loop(authority, files))
            caller = await tls_call(stack, loop.relay, authority.client_context())
            await caller.ask(post(b"one", host=HOST.encode()))
            caller.writer.close()
            await until(lambda: loop.relay.statistics().downstreams == 0)

    with caplog.at_level(logging.DEBUG):
        on_a_loop(main, loop_factory=loop_factory)()
    assert [r for r in caplog.records if r.levelno >= logging.WARNING] == []


@BOTH_LOOPS
def test_an_early_answer_reaches_a_caller_that_still_sends(authority, files, loop_factory):
    """There is no half-close to protect it, so the relay reads on for a moment."""

    async def too_large(served):
        await served.send(b"HTTP/1.1 413 Content Too Large\r\nContent-Length: 2\r\n\r\nno")
        await served.body()

    async def main():
        async with AsyncExitStack() as stack:
            loop = await stack.enter_async_context(tls_loop(authority, files, too_large))
            caller = await tls_call(stack, loop.relay, authority.client_context())
            body = post(bytes(4 * 1024 * 1024), host=HOST.encode())
            sending = asyncio.ensure_future(caller.send(body))
            answer = await caller.response()
            caller.reset()
            await asyncio.wait({sending})
            sending.exception()

            assert answer.status == 413

    on_a_loop(main, loop_factory=loop_factory)()


@on_a_loop
async def test_no_tunnel_answers_a_certificate_authority(tmp_path):
    """Or whoever has a tunnel could have certificates made out for its name."""
    authority = Authority(tmp_path)
    files = authority.issue("relay", DOMAIN, f"*.{DOMAIN}")
    async with AsyncExitStack() as stack:
        loop = await stack.enter_async_context(tls_loop(authority, files))
        caller = await tls_call(stack, loop.relay, authority.client_context())
        path = b"/.well-known/acme-challenge/some-token"
        answer = await caller.ask(get(path, host=HOST.encode()))

        assert answer.status == 404
        assert answer.values(b"Hookloop-Error") == [b"no_challenge"]


# --- which certificate --------------------------------------------------------------------


@on_a_loop
async def test_the_server_name_chooses_the_certificate(tmp_path):
    """Of several domains, each has its own."""
    authority = Authority(tmp_path)
    ours = authority.issue("ours", DOMAIN, f"*.{DOMAIN}")
    other = authority.issue("other", "hooks.other.example")
    config = relay_config(domain=DOMAIN, tls=TlsSettings(files=(ours, other)))
    async with running_relay(config) as relay, AsyncExitStack() as stack:
        for name, shown in ((HOST, f"*.{DOMAIN}"), ("hooks.other.example", "hooks.other.example")):
            caller = await tls_call(stack, relay, authority.client_context(), name)
            assert ("DNS", shown) in certificate_of(caller)["subjectAltName"]
        with pytest.raises(ssl.SSLCertVerificationError, match="Hostname mismatch"):
            await tls_call(stack, relay, authority.client_context(), "nobody.example")


@on_a_loop
async def test_a_new_file_is_shown_without_a_restart(tmp_path):
    """To new callers; those connected stay so."""
    authority = Authority(tmp_path)
    files = authority.issue("relay", HOST)
    async with tls_relay(files, watch_seconds=0.01) as relay, AsyncExitStack() as stack:
        before = await tls_call(stack, relay, authority.client_context())
        authority.issue("relay", HOST, "new.example")

        async def is_new():
            caller = await tls_call(stack, relay, authority.client_context())
            return ("DNS", "new.example") in certificate_of(caller)["subjectAltName"]

        async with asyncio.timeout(PATIENCE):
            while not await is_new():
                pass
        assert (await before.ask(get(host=HOST.encode()))).status == 404


@on_a_loop
async def test_a_reload_may_be_asked_for(tmp_path):
    """As by SIGHUP: at once, and not at the next look."""
    authority = Authority(tmp_path)
    files = authority.issue("relay", HOST)
    async with tls_relay(files, watch_seconds=3600) as relay, AsyncExitStack() as stack:
        authority.issue("relay", HOST, "new.example")
        await relay.tls.reload()

        caller = await tls_call(stack, relay, authority.client_context())
        assert ("DNS", "new.example") in certificate_of(caller)["subjectAltName"]


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_tls_12_and_13_and_http_11_are_spoken(authority, files, version):
    """By ALPN too, and a caller that would rather have h2 gets HTTP/1.1."""

    async def main():
        context = authority.client_context()
        context.minimum_version = context.maximum_version = version
        context.set_alpn_protocols(["h2", "http/1.1"])
        async with tls_relay(files) as relay, AsyncExitStack() as stack:
            caller = await tls_call(stack, relay, context)
            tls = caller.writer.get_extra_info("ssl_object")

            assert tls.selected_alpn_protocol() == "http/1.1"
            assert (await caller.ask(get(host=HOST.encode()))).status == 404

    on_a_loop(main)()


@on_a_loop
async def test_tls_11_is_refused(tmp_path):
    """Before a byte of HTTP is read."""
    authority = Authority(tmp_path)
    files = authority.issue("relay", HOST)
    context = authority.client_context()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Python finds it old, too
        context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1_1
    context.set_ciphers("ALL:@SECLEVEL=0")
    async with tls_relay(files) as relay, AsyncExitStack() as stack:
        with pytest.raises(OSError):  # noqa: PT011  # an alert, or its absence: asyncio may cut
            await tls_call(stack, relay, context)
        await until(lambda: relay.tls.statistics().failed == 1)


# --- what is no handshake -----------------------------------------------------------------


@BOTH_LOOPS
@pytest.mark.parametrize("request_", [b"GET / HTTP/1.1\r\nHost: shop\r\n\r\n", b"POST / "])
def test_plain_http_is_answered_in_plain_text(files, loop_factory, request_, caplog):
    """As nginx does: the caller can read what is wrong."""

    async def main():
        async with tls_relay(files) as relay:
            reader, writer = await raw_call(relay)
            writer.write(request_)
            answer = await soon(reader.read())
            writer.close()

            assert answer.startswith(b"HTTP/1.1 400 Bad Request\r\n")
            assert b"Content-Type: text/plain" in answer
            assert answer.endswith(b"use https:// and the same address.\n")

    with caplog.at_level(logging.INFO):
        on_a_loop(main, loop_factory=loop_factory)()
    assert caplog.records == []


@BOTH_LOOPS
@pytest.mark.parametrize(
    ("sent", "answer"),
    [
        (b"\0\0\0\0", b""),
        (b"SSH-2.0-OpenSSH\r\n", None),
        (b"\x16\x03\x01\x00\x04\x02\x00\x00\x00", b"\x15\x03\x03\x00\x02\x02\x32"),
        (b"\x16\x03\x01\x00\x2f\x01\x00\x00\x2b" + b"\x03\x03" + b"\0" * 41, None),
        (b"", b""),
    ],
)
def test_bad_handshakes_end_their_own_connection_only(files, loop_factory, sent, answer, caplog):
    """No crash, no traceback, not a line in the log: anybody can send anything."""

    async def main():
        async with tls_relay(files) as relay:
            reader, writer = await raw_call(relay)
            writer.write(sent)
            if not sent:
                writer.close()
            try:
                received = await soon(reader.read())
            except ConnectionResetError:
                received = b""
            writer.close()

            assert received == answer or answer is None
            await until(lambda: relay.tls.statistics().under_way == 0)
            assert relay.tls.statistics().failed == 1

    with caplog.at_level(logging.INFO):
        on_a_loop(main, loop_factory=loop_factory)()
    assert caplog.records == []


@BOTH_LOOPS
def test_a_caller_that_resets_in_its_handshake_is_forgotten(files, loop_factory, caplog):
    """After its ClientHello, as a client that does not like our certificate."""

    async def main():
        async with tls_relay(files) as relay:
            with pytest.raises(ssl.SSLCertVerificationError):
                await asyncio.open_connection(
                    "127.0.0.1", relay.port, ssl=ssl.create_default_context(), server_hostname=HOST
                )
            sock = socket.create_connection(("127.0.0.1", relay.port))
            sock.send(b"\x16\x03\x01\x02")
            await until(lambda: relay.tls.statistics().under_way == 1)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            sock.close()
            await until(lambda: relay.tls.statistics().under_way == 0)

    with caplog.at_level(logging.INFO):
        on_a_loop(main, loop_factory=loop_factory)()
    assert caplog.records == []


@BOTH_LOOPS
def test_a_hello_may_come_in_pieces(authority, files, loop_factory):
    """As the large ones of today do; what was looked at is not lost."""

    async def main():
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        tls = authority.client_context().wrap_bio(incoming, outgoing, server_hostname=HOST)
        with pytest.raises(ssl.SSLWantReadError):
            tls.do_handshake()
        hello = outgoing.read()
        async with tls_relay(files) as relay:
            reader, writer = await raw_call(relay)
            writer.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, True)
            for piece in (hello[:1], hello[1:3], hello[3:100], hello[100:]):
                writer.write(piece)
                await writer.drain()
                for _ in range(5):
                    await asyncio.sleep(0)
            while tls.version() is None or outgoing.pending == 0:
                incoming.write(await soon(reader.read(65536)))
                try:
                    tls.do_handshake()
                    break
                except ssl.SSLWantReadError:
                    continue
            writer.write(outgoing.read())
            tls.write(get(host=HOST.encode()))
            writer.write(outgoing.read())
            received = b""
            while b"\r\n\r\n" not in received:
                incoming.write(await soon(reader.read(65536)))
                try:
                    received += tls.read(65536)
                except ssl.SSLWantReadError:
                    continue
            writer.close()

            assert received.startswith(b"HTTP/1.1 404")

    on_a_loop(main, loop_factory=loop_factory)()


@BOTH_LOOPS
@pytest.mark.parametrize("sent", [b"", b"\x16\x03\x01\x02", "hello"])
def test_a_handshake_has_a_timeout(authority, files, loop_factory, sent):
    """Before the first byte, within the ClientHello, and after it."""

    async def main():
        data = sent
        if sent == "hello":
            incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
            tls = authority.client_context().wrap_bio(incoming, outgoing, server_hostname=HOST)
            with pytest.raises(ssl.SSLWantReadError):
                tls.do_handshake()
            data = outgoing.read()
        async with tls_relay(files, handshake_seconds=0.1) as relay:
            reader, writer = await raw_call(relay)
            writer.write(data)
            with suppress(ConnectionResetError):
                await soon(reader.read())
            writer.close()

            await until(lambda: relay.tls.statistics().failed == 1)

    on_a_loop(main, loop_factory=loop_factory)()


@on_a_loop
async def test_of_too_many_handshakes_the_oldest_makes_room(tmp_path):
    """So that idle connections cannot keep everybody out."""
    authority = Authority(tmp_path)
    files = authority.issue("relay", HOST)
    async with tls_relay(files, handshakes_max=2) as relay, AsyncExitStack() as stack:
        idle = [await raw_call(relay) for _ in range(2)]
        await until(lambda: relay.tls.statistics().under_way == 2)

        caller = await tls_call(stack, relay, authority.client_context())

        assert (await caller.ask(get(host=HOST.encode()))).status == 404
        assert await soon(idle[0][0].read()) == b""
        assert relay.tls.statistics().under_way == 1
        for _, writer in idle:
            writer.close()


@on_a_loop
async def test_a_relay_that_stops_cuts_handshakes(tmp_path):
    """It does not wait for those who have said nothing yet."""
    authority = Authority(tmp_path)
    async with tls_relay(authority.issue("relay", HOST)) as relay:
        reader, writer = await raw_call(relay)
        await until(lambda: relay.tls.statistics().under_way == 1)
    assert await soon(reader.read()) == b""
    writer.close()


# --- the agent ----------------------------------------------------------------------------


async def dial_by(relay, trust, host=DOMAIN):
    await dial(f"https://{host}:{relay.port}", TOKEN, timeout=PATIENCE, trust=trust)


@on_a_loop
async def test_an_agent_does_not_trust_just_anybody(tmp_path):
    """And says what to do; no token is sent to whom it does not trust."""
    authority, other = Authority(tmp_path / "a"), Authority(tmp_path / "b")
    files = authority.issue("relay", DOMAIN)
    async with tls_relay(files) as relay:
        with pytest.raises(UntrustedError, match=r"nobody this machine trusts: .* --ca-file"):
            await dial_by(relay, Trust())
        with pytest.raises(UntrustedError, match=r"nobody this machine trusts"):
            await dial_by(relay, Trust(ca_file=other.ca_file))
        with pytest.raises(UntrustedError, match=r"is not for wrong\.localhost: use the name"):
            await dial_by(relay, Trust(ca_file=authority.ca_file), "wrong.localhost")


@on_a_loop
async def test_an_expired_certificate_is_called_so(tmp_path):
    """It is the relay's owner who must act."""
    authority = Authority(tmp_path)
    async with tls_relay(authority.issue("relay", DOMAIN, days=-1)) as relay:
        with pytest.raises(UntrustedError, match="has expired: its owner must renew it"):
            await dial_by(relay, Trust(ca_file=authority.ca_file))


@on_a_loop
async def test_verification_can_be_left_out_on_purpose(tmp_path):
    """For a test on one's own machine."""
    authority = Authority(tmp_path)
    async with tls_relay(authority.issue("relay", "other.example", days=-1)) as relay:
        opened = await dial(relay.url, TOKEN, timeout=PATIENCE, trust=Trust(is_skipped=True))
        opened.transport.abort()
        await until(lambda: relay.statistics().sessions == 0)


@on_a_loop
async def test_http_and_https_mixed_up_are_told_apart(tmp_path):
    """Either way the agent says which it should be."""
    files = Authority(tmp_path).issue("relay", DOMAIN)
    async with tls_relay(files) as relay:
        with pytest.raises(RefusedError, match="speaks TLS there: use https://"):
            await dial(f"http://{DOMAIN}:{relay.port}", TOKEN, timeout=PATIENCE)
    async with running_relay(relay_config(domain=DOMAIN)) as relay:
        with pytest.raises(RemoteError, match="does not speak TLS on this port: try http://"):
            await dial(f"https://{DOMAIN}:{relay.port}", TOKEN, timeout=PATIENCE)


@on_a_loop
async def test_an_agent_that_never_trusted_its_relay_ends(tmp_path):
    """Trying again would not help."""
    authority = Authority(tmp_path)
    async with tls_loop(authority, authority.issue("relay", DOMAIN)) as loop:
        config = replace(loop.agent_config, trust=Trust())
        with pytest.raises(RefusedError, match="nobody this machine trusts"):
            async with running_agent(config):
                pass


@pytest.mark.parametrize("text", [None, "no PEM"])
def test_a_bad_ca_file_is_named(tmp_path, text):
    """Before anything is tried."""
    path = tmp_path / "ca.pem"
    if text is not None:
        path.write_text(text)

    with pytest.raises(ConfigError, match=r"--ca-file|ca\.pem"):
        Trust(ca_file=path).context()


# --- the plain port -----------------------------------------------------------------------


async def ask_plain(relay, request):
    reader, writer = await soon(asyncio.open_connection("127.0.0.1", relay.tls.plain_port))
    writer.write(request)
    answer = await soon(reader.read())
    writer.close()
    return answer


@BOTH_LOOPS
def test_the_plain_port_leads_to_https(files, loop_factory):
    """To the same host and target, with the method kept."""

    async def main():
        async with tls_relay(files, http_port=0) as relay:
            answer = await ask_plain(relay, post(b"x", host=HOST.encode(), target=b"/a?b=c"))
            there = f"Location: https://{HOST}:{relay.port}/a?b=c\r\n".encode()

            assert answer.startswith(b"HTTP/1.1 308 Permanent Redirect\r\n")
            assert there in answer

    on_a_loop(main, loop_factory=loop_factory)()


@on_a_loop
async def test_the_plain_port_leads_nowhere_else(tmp_path):
    """A Host of somebody else's is no way to send callers there."""
    files = Authority(tmp_path).issue("relay", DOMAIN)
    async with tls_relay(files, http_port=0) as relay:
        cases = {
            get(host=b"evil.example"): b"404",
            get(host=b"evil.example@" + HOST.encode()): b"400",
            b"GET / HTTP/1.1\r\n\r\n": b"400",
            b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n": b"400",
            b"GET http://evil.example/ HTTP/1.1\r\nHost: " + HOST.encode() + b"\r\n\r\n": b"400",
            b"\x16\x03\x01" + b"x" * 20_000: b"400",
            get(b"/.well-known/acme-challenge/unknown", host=HOST.encode()): b"404",
        }
        for request, status in cases.items():
            answer = await ask_plain(relay, request)
            assert answer.split()[1] == status
            assert b"Location" not in answer


@on_a_loop
async def test_a_plain_port_that_is_taken_is_named(tmp_path):
    """And the TLS port is given back."""
    files = Authority(tmp_path).issue("relay", DOMAIN)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(ConfigError, match=f"port {port} for --http-port"):
            async with tls_relay(files, http_port=port):
                pass


# --- metrics ------------------------------------------------------------------------------


@on_a_loop
async def test_the_metrics_say_when_a_certificate_expires(tmp_path):
    """Soon enough to be told by somebody else than a customer."""
    authority = Authority(tmp_path)
    files = authority.issue("relay", DOMAIN, f"*.{DOMAIN}", days=20)
    tls = TlsSettings(files=(files,))
    config = relay_config(domain=DOMAIN, tls=tls, admin_port=0)
    async with running_relay(config) as relay, AsyncExitStack() as stack:
        await tls_call(stack, relay, authority.client_context())
        _, writer = await raw_call(relay)
        writer.close()
        await until(lambda: relay.tls.statistics().failed == 1)
        port = int(relay.admin_url.rpartition(":")[2])
        reader, writer = await soon(asyncio.open_connection("127.0.0.1", port))
        writer.write(b"GET /metrics HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n")
        text = (await soon(reader.read())).decode()
        writer.close()

    name = f'hookloop_relay_certificate_not_after{{names="{DOMAIN},*.{DOMAIN}"}} '
    (line,) = [line for line in text.splitlines() if line.startswith(name)]
    assert float(line.split()[-1]) - time.time() == pytest.approx(20 * 86400, abs=600)
    assert "hookloop_relay_tls_handshakes_total 1.0" in text
    assert "hookloop_relay_tls_handshakes_failed_total 1.0" in text


# --- the command --------------------------------------------------------------------------


@on_a_loop
async def test_the_command_takes_certificates_and_sighup(tmp_path):
    """SIGHUP reads them again at once, long before the next look."""
    authority = Authority(tmp_path)
    files = authority.issue("relay", HOST)
    arguments = ["relay", "--json", "--port", "0", "--domain", DOMAIN, "--http-port", "0"]
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "hookloop",
        *arguments,
        "--tls-cert",
        files.certificate,
        "--tls-key",
        files.key,
        stdout=asyncio.subprocess.PIPE,
    )
    try:
        url = json.loads(await soon(process.stdout.readline()))["value"]
        port = int(url.rpartition(":")[2])

        async def names():
            _, writer = await soon(
                asyncio.open_connection(
                    "127.0.0.1", port, ssl=authority.client_context(), server_hostname=HOST
                )
            )
            certificate = writer.get_extra_info("peercert")
            writer.close()
            return [name for _, name in certificate["subjectAltName"]]

        assert url.startswith(f"https://{DOMAIN}:")
        assert await names() == [HOST]
        authority.issue("relay", HOST, "new.example")
        process.send_signal(signal.SIGHUP)
        async with asyncio.timeout(4):  # of the five between two looks
            while await names() == [HOST]:
                pass
    finally:
        process.terminate()
        assert await soon(process.wait()) == 0


# --- out of HTTP, inside TLS ----------------------------------------------------------------


@BOTH_LOOPS
def test_a_websocket_passes_by_tls(authority, files, loop_factory):
    """wss, with its close codes; and no end that TLS has no way to say."""
    seen = []

    async def handler(connection):
        with suppress(ConnectionClosed):
            async for message in connection:
                await connection.send(message)
        seen.append((connection.close_code, connection.close_reason))

    async def main():
        async with serve(handler, "127.0.0.1", 0) as server:
            upstream = Upstream("127.0.0.1", server.sockets[0].getsockname()[1])
            async with tls_loop(authority, files, agent={"upstream": upstream}) as loop:
                async with connect(
                    f"wss://{HOST}:{loop.relay.port}/",
                    host="127.0.0.1",
                    port=loop.relay.port,
                    ssl=authority.client_context(),
                    server_hostname=HOST,
                    max_size=None,
                ) as client:
                    await client.send(bytes(300_000))
                    assert await soon(client.recv()) == bytes(300_000)
                    await client.close(4000, "done")
                await until(lambda: loop.at_relay.captures and loop.at_agent.captures)
                failures = [loop.at_relay.captures[0].failure, loop.at_agent.captures[0].failure]

        assert seen == [(4000, "done")]
        assert failures == [None, None]

    on_a_loop(main, loop_factory=loop_factory)()


@BOTH_LOOPS
def test_a_tls_caller_that_leaves_first_ends_its_upstream_in_peace(authority, files, loop_factory):
    """By TLS one end is both: the upstream reads to the end, and is not reset."""
    heard = []

    async def app(served):
        await served.send(b"HTTP/1.1 101 S\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n")
        heard.append(await served.reader.read())
        served.writer.close()

    async def main():
        async with AsyncExitStack() as stack:
            loop = await stack.enter_async_context(tls_loop(authority, files, app))
            caller = await tls_call(stack, loop.relay, authority.client_context())
            fields = b"Connection: Upgrade\r\nUpgrade: x\r\n"
            await caller.send(get(host=HOST.encode(), fields=fields))
            await caller.head()
            await caller.send(b"all I had to say")
            await caller.close()
            await until(lambda: loop.at_agent.captures)

            assert heard == [b"all I had to say"]
            assert loop.at_agent.captures[0].failure is None
            await until(lambda: loop.relay.statistics().streams_open == 0)

    on_a_loop(main, loop_factory=loop_factory)()
