"""Certificates by ACME, from a strict authority of our own and from Let's Encrypt's pebble."""

import asyncio
import errno
import json
import logging
import ssl
import stat
import sys
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import pebble
import pytest
import uvloop
from acme_authority import AcmeAuthority, running_authority
from fake_dns import running_dns
from made_certificates import Authority
from tunnel_loop import free_port, get, is_clean, on_a_loop, relay_config, soon, until

from hookloop.tunnel.relay import running_relay
from hookloop.tunnel.relay.acme_settings import AcmeSettings
from hookloop.tunnel.relay.acme_store import AcmeStore
from hookloop.tunnel.relay.tls_settings import TlsSettings

DOMAIN = "tun.example.com"
NAMES = (DOMAIN, f"*.{DOMAIN}")
HOOK = Path(__file__).with_name("acme_dns_hook.py")
SERVERS = ["ours", *(["pebble"] if pebble.IS_WANTED else [])]


@dataclass
class Place:
    """An ACME server, and the settings of a relay that uses it."""

    acme: AcmeSettings
    http_port: int
    root: ssl.SSLContext
    records: Path
    state: AcmeAuthority | None = None

    @property
    def store(self) -> AcmeStore:
        return AcmeStore(self.acme.folder, self.acme.directory_url)

    def with_hook(self) -> "Place":
        hook = f"{sys.executable} {HOOK} {self.records}"
        acme = replace(self.acme, names=(NAMES,), dns_hook=hook, dns_seconds=0.0)
        return replace(self, acme=acme)


@contextmanager
def acme_place(server, folder, http_port=None):
    http_port = http_port or free_port()
    with running_dns(folder / "records.json") as dns:
        run = pebble.running_pebble if server == "pebble" else running_authority
        with run(dns, http_port, folder) as (url, ca_file, more):
            state = more if isinstance(more, AcmeAuthority) else None
            root = (state.root_pem if state else more).decode()
            acme = AcmeSettings(
                names=((DOMAIN,),),
                folder=folder / "acme",
                email="owner@example.com",
                is_tos_agreed=True,
                directory_url=url,
                ca_file=ca_file,
            )
            context = ssl.create_default_context(cadata=root)
            yield Place(acme, http_port, context, dns.records, state)


@pytest.fixture(params=SERVERS)
def place(request, tmp_path):
    with acme_place(request.param, tmp_path) as made:
        yield made


@pytest.fixture
def our_place(tmp_path):
    with acme_place("ours", tmp_path) as made:
        yield made


@asynccontextmanager
async def acme_relay(place, **settings):
    tls = TlsSettings(acme=place.acme, http_port=place.http_port, **settings)
    async with running_relay(relay_config(domain=DOMAIN, tls=tls)) as relay:
        yield relay
    await until(lambda: is_clean(relay))


async def caller_of(stack, relay, place, server_name):
    reader, writer = await soon(
        asyncio.open_connection(
            "127.0.0.1", relay.port, ssl=place.root, server_hostname=server_name
        )
    )
    stack.callback(writer.close)
    return reader, writer


@pytest.mark.parametrize("loop_factory", [None, uvloop.new_event_loop])
def test_a_name_is_proven_by_http(place, loop_factory):
    """The relay starts without a certificate, and a moment later callers trust it."""

    async def main():
        async with AsyncExitStack() as stack:
            relay = await stack.enter_async_context(acme_relay(place))
            await until(lambda: relay.tls.certificates.find(DOMAIN))
            reader, writer = await caller_of(stack, relay, place, DOMAIN)
            writer.write(get(host=DOMAIN.encode()))

            assert (await soon(reader.readline())).startswith(b"HTTP/1.1 200")

    on_a_loop(main, loop_factory=loop_factory)()
    files = [path for path in place.acme.folder.rglob("*") if path.is_file()]
    assert {path.name for path in files} == {
        "account.json",
        "account.pem",
        "lock",
        f"{DOMAIN}.pem",
    }
    assert {stat.S_IMODE(path.stat().st_mode) for path in files} == {0o600}


def test_names_below_it_are_proven_by_dns(place):
    """By a hook of the owner's; its records are taken away again."""
    place = place.with_hook()

    async def main():
        async with AsyncExitStack() as stack:
            relay = await stack.enter_async_context(acme_relay(place))
            await until(lambda: relay.tls.certificates.find(f"shop.{DOMAIN}"))
            for name in (DOMAIN, f"shop.{DOMAIN}"):
                await caller_of(stack, relay, place, name)

    on_a_loop(main)()
    assert json.loads(place.records.read_text()) == {f"_acme-challenge.{DOMAIN}": []}


def test_each_certificate_has_its_names(our_place):
    """Several domains: one account, one order for each."""
    names = (("a.example.com", "b.example.com"), ("c.example.com",))
    place = replace(our_place, acme=replace(our_place.acme, names=names))

    async def main():
        async with acme_relay(place) as relay:
            await until(lambda: relay.tls.certificates.find("c.example.com"))
            assert relay.tls.certificates.find("a.example.com").names == names[0]

    on_a_loop(main)()
    assert len(place.state.accounts) == 1
    assert len(place.state.orders) == 2
    assert place.state.rejected_nonces > 0


def test_a_restart_fetches_nothing_anew(our_place, caplog):
    """Authorities count: what is on the disk and fresh is used from the first moment."""

    async def main():
        async with acme_relay(our_place) as relay:
            await until(lambda: relay.tls.certificates.find(DOMAIN))
        async with acme_relay(our_place) as relay:
            assert relay.tls.certificates.find(DOMAIN)

    with caplog.at_level(logging.INFO, "hookloop.relay"):
        on_a_loop(main)()
    assert len(our_place.state.orders) == len(our_place.state.accounts) == 1
    assert caplog.text.count("certificate issued") == 1


def test_a_certificate_near_its_end_is_renewed(our_place, tmp_path):
    """Long before, it is still shown."""
    old = Authority(tmp_path / "old").issue("old", DOMAIN, days=20)  # of 110
    our_place.store.save_certificate(
        (DOMAIN,), key_pem=old.key.read_bytes(), chain_pem=old.certificate.read_bytes()
    )

    async def main():
        async with acme_relay(our_place) as relay:
            first = relay.tls.certificates.find(DOMAIN)
            await until(lambda: relay.tls.certificates.find(DOMAIN) is not first)

            assert relay.tls.certificates.find(DOMAIN).not_after > first.not_after

    on_a_loop(main)()
    assert len(our_place.state.orders) == 1


def test_of_two_processes_of_a_relay_one_fetches(our_place, caplog):
    """They share the port and the folder; the other finds what was fetched."""

    async def main():
        other = replace(our_place, http_port=free_port())  # a process has its own in this test
        with our_place.store.claimed() as is_ours:
            assert is_ours
            async with acme_relay(other) as relay:
                our_place.store.show_challenge("a-token", "its answer")
                await until(lambda: relay.tls.plain_port)
                reader, writer = await soon(
                    asyncio.open_connection("127.0.0.1", relay.tls.plain_port)
                )
                path = b"/.well-known/acme-challenge/a-token"
                writer.write(get(path, host=DOMAIN.encode()))
                answer = await soon(reader.read())
                writer.close()

                assert answer.endswith(b"\r\n\r\nits answer")

    with caplog.at_level(logging.INFO, "hookloop.relay"):
        on_a_loop(main)()
    assert our_place.state.orders == []
    assert "not issued" not in caplog.text


def test_an_account_the_authority_forgot_is_registered_again(our_place):
    """As after a test authority was set up anew."""
    our_place.store.save_account_url(f"{our_place.state.base}/account/of-another-time")

    async def main():
        async with acme_relay(our_place) as relay:
            await until(lambda: relay.tls.certificates.find(DOMAIN))

    on_a_loop(main)()
    assert our_place.store.account_url() in our_place.state.accounts


def test_an_account_of_our_key_is_found_again(our_place):
    """When only its URL was lost: a key has one account."""

    async def main():
        async with acme_relay(our_place) as relay:
            await until(lambda: relay.tls.certificates.find(DOMAIN))

    on_a_loop(main)()
    our_place.store.forget_account()
    our_place.store.certificate_path((DOMAIN,)).unlink()
    on_a_loop(main)()

    assert [our_place.store.account_url()] == list(our_place.state.accounts)


def test_a_name_that_cannot_be_proven_is_said_and_tried_later(tmp_path, caplog):
    """The relay serves on; the reason is the authority's."""
    port = free_port()
    with acme_place("ours", tmp_path, http_port=free_port()) as made:
        place = replace(made, http_port=port)

        async def main():
            async with acme_relay(place):
                await until(lambda: "certificate not issued" in caplog.text)

        with caplog.at_level(logging.INFO, "hookloop.relay"):
            on_a_loop(main)()

    (record,) = [r for r in caplog.records if r.levelno == logging.ERROR]
    assert f"names={DOMAIN} retry_seconds=1" in record.message
    assert "could not be proven" in record.message
    assert "Connection refused" in record.message


@pytest.mark.parametrize(
    ("hook", "reason"),
    [
        ("false", "ended with code 1"),
        ("no-such-command-here", "cannot run the DNS hook no-such-command-here"),
        (f"{sys.executable} -c 'import sys; sys.exit(\"no such zone\")'", "no such zone"),
    ],
)
def test_a_hook_that_fails_is_quoted(our_place, caplog, hook, reason):
    """It is the owner's program, and its owner reads our log."""
    place = our_place.with_hook()
    place = replace(place, acme=replace(place.acme, dns_hook=hook))

    async def main():
        async with acme_relay(place):
            await until(lambda: "certificate not issued" in caplog.text)

    with caplog.at_level(logging.INFO, "hookloop.relay"):
        on_a_loop(main)()
    assert reason in caplog.text


def test_a_disk_that_fails_is_said_and_tried_later(our_place, caplog, monkeypatch):
    """The relay serves on, and looks again."""

    def full(_store):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(AcmeStore, "claimed", full)

    async def main():
        async with acme_relay(our_place):
            await until(lambda: "certificate not issued" in caplog.text)

    with caplog.at_level(logging.INFO, "hookloop.relay"):
        on_a_loop(main)()
    assert "No space left on device" in caplog.text


def test_an_authority_that_is_not_there_does_not_keep_the_relay_from_starting(tmp_path, caplog):
    """Nor from ending."""
    acme = AcmeSettings(
        names=((DOMAIN,),),
        folder=tmp_path,
        email="owner@example.com",
        is_tos_agreed=True,
        directory_url=f"https://localhost:{free_port()}/directory",
    )
    place = Place(acme, free_port(), ssl.create_default_context(), tmp_path / "records.json")

    async def main():
        async with acme_relay(place):
            await until(lambda: "cannot reach https://localhost" in caplog.text)

    with caplog.at_level(logging.INFO, "hookloop.relay"):
        on_a_loop(main)()


def test_a_relay_that_stops_in_the_middle_takes_its_proofs_away(our_place):
    """Within seconds, whatever the authority does."""
    place = our_place.with_hook()
    place = replace(place, acme=replace(place.acme, dns_seconds=3600.0))

    async def main():
        async with acme_relay(place):
            await until(place.records.exists)

    on_a_loop(main)()
    assert json.loads(place.records.read_text()) == {f"_acme-challenge.{DOMAIN}": []}
