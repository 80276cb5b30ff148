"""Settings for TLS and ACME that cannot work are refused in words."""

from pathlib import Path

import pytest

from hookloop.cli.tls_options import LETS_ENCRYPT, TlsOptions
from hookloop.errors import ConfigError
from hookloop.tunnel.relay import acme_settings
from hookloop.tunnel.relay.acme_settings import AcmeSettings
from hookloop.tunnel.relay.tls_settings import CertificateFiles, TlsSettings

FILES = CertificateFiles(Path("tls.pem"), Path("tls.key"))


def acme(**settings):
    good = {
        "names": (("tun.example",),),
        "folder": Path("acme"),
        "email": "owner@example.com",
        "is_tos_agreed": True,
    }
    return AcmeSettings(**good | settings)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"is_tos_agreed": False}, "pass --acme-agree-tos"),
        ({"email": "owner"}, "not an address"),
        ({"directory_url": "http://ca.example"}, "it is an https URL"),
        ({"names": ()}, "pass --acme-domain"),
        ({"names": ((),)}, "1 to 100 names"),
        ({"names": (("localhost",),)}, "'localhost' is no name"),
        ({"names": (("Tun.example",),)}, "in lower case"),
        ({"names": (("*.tun.example",),)}, "pass --acme-dns-hook"),
        ({"names": (("a.*.example",),), "dns_hook": "hook"}, "is no name"),
    ],
)
def test_bad_acme_settings_say_what_to_do(settings, said):
    """At the start, and not after a day."""
    with pytest.raises(ConfigError, match=said):
        acme(**settings)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({}, "wants certificates"),
        ({"files": (FILES,), "http_port": 70_000}, "no port for --http-port"),
        ({"acme": acme()}, "needs --http-port 80"),
        ({"files": (FILES,), "handshakes_max": 0}, "serves nobody"),
    ],
)
def test_bad_tls_settings_say_what_to_do(settings, said):
    """The same."""
    with pytest.raises(ConfigError, match=said):
        TlsSettings(**settings)


def test_a_dns_hook_needs_no_plain_port():
    """And allows wildcards."""
    settings = acme(names=(("tun.example", "*.tun.example"),), dns_hook="hook")

    assert TlsSettings(acme=settings).http_port is None


# --- the options --------------------------------------------------------------------------


def options(**given):
    nothing = {
        "cert": None,
        "key": None,
        "directories": None,
        "http_port": None,
        "acme_email": None,
        "acme_agree_tos": False,
        "acme_directory": LETS_ENCRYPT,
        "acme_domain": None,
        "acme_dns_hook": None,
        "acme_dns_seconds": 30.0,
        "acme_folder": Path("acme"),
        "acme_ca_file": None,
    }
    return TlsOptions(**nothing | given)


def test_without_options_there_is_no_tls():
    """A relay behind a proxy, or on one's own machine."""
    assert options().settings(["tun.example"]) is None


def test_certificates_and_keys_are_pairs():
    """In the order they are given."""
    given = options(cert=[Path("a.pem"), Path("b.pem")], key=[Path("a.key"), Path("b.key")])

    assert given.settings(["tun.example"]).files[1] == CertificateFiles(
        Path("b.pem"), Path("b.key")
    )
    with pytest.raises(ConfigError, match="1 --tls-cert and 0 --tls-key"):
        options(cert=[Path("a.pem")]).settings(["tun.example"])


@pytest.mark.parametrize(
    ("given", "names"),
    [
        ({"http_port": 80}, (("tun.example",), ("eu.example",))),
        (
            {"acme_dns_hook": "hook"},
            (("tun.example", "*.tun.example"), ("eu.example", "*.eu.example")),
        ),
        (
            {"http_port": 80, "acme_domain": ["A.tun.example, b.tun.example", "c.tun.example"]},
            (("a.tun.example", "b.tun.example"), ("c.tun.example",)),
        ),
    ],
)
def test_the_names_to_fetch_are_those_of_the_relay(given, names):
    """All below its domains, where a hook can prove them; or those that are named."""
    settings = options(acme_email="owner@example.com", acme_agree_tos=True, **given)

    assert settings.settings(["tun.example", "eu.example"]).acme.names == names


@pytest.mark.parametrize("given", [{"http_port": 80}, {"acme_agree_tos": True}])
def test_options_that_would_do_nothing_are_refused(given):
    """Rather than ignored."""
    with pytest.raises(ConfigError):
        options(**given).settings(["tun.example"])


def test_the_default_authority_is_one():
    """The command line says it without importing the relay."""
    assert acme_settings.LETS_ENCRYPT == LETS_ENCRYPT
