"""Which certificate a name gets, and what a change of the files does."""

import errno
import logging
import ssl
from datetime import UTC, datetime, timedelta

import pytest
import trustme

from hookloop.errors import ConfigError
from hookloop.tunnel.relay.certificates import Certificates, load_certificate
from hookloop.tunnel.relay.tls_settings import CertificateFiles

NOW = datetime.now(UTC)
CA = trustme.CA()


def write(folder, stem, *names, days=90):
    """Issue a certificate for *names* and write it with its key."""
    issued = CA.issue_cert(*names, not_after=NOW + timedelta(days=days))
    files = CertificateFiles(folder / f"{stem}.pem", folder / f"{stem}.key")
    files.certificate.write_bytes(b"".join(pem.bytes() for pem in issued.cert_chain_pems))
    files.key.touch(mode=0o600)
    files.key.write_bytes(issued.private_key_pem.bytes())
    return files


def names_for(certificates, server_name):
    found = certificates.find(server_name)
    return found and found.names


def test_the_server_name_chooses(tmp_path):
    """The exact name first, then the wildcard above it, which covers one label."""
    files = [
        write(tmp_path, "one", "tun.example", "*.tun.example"),
        write(tmp_path, "two", "shop.tun.example"),
    ]
    certificates = Certificates(files, now=NOW)

    assert names_for(certificates, "shop.tun.example") == ("shop.tun.example",)
    assert names_for(certificates, "api.tun.example") == ("tun.example", "*.tun.example")
    assert names_for(certificates, "tun.example") == ("tun.example", "*.tun.example")
    assert names_for(certificates, "a.b.tun.example") is None
    assert names_for(certificates, "example") is None


def test_who_wants_another_name_is_shown_the_first(tmp_path):
    """Its error then names the host that is wrong."""
    files = [write(tmp_path, "one", "one.example"), write(tmp_path, "two", "two.example")]
    certificates = Certificates(files, now=NOW)

    first = certificates.find("one.example").context
    assert certificates.context_for("other.example") is first
    assert certificates.context_for(None) is first


def test_of_two_for_one_name_the_longer_lived_is_shown(tmp_path):
    """The successor lies beside its predecessor for a while."""
    old = write(tmp_path, "old", "tun.example", days=10)
    new = write(tmp_path, "new", "tun.example", days=80)

    for files in ([old, new], [new, old]):
        found = Certificates(files, now=NOW).find("tun.example")
        assert found.not_after > NOW + timedelta(days=70)


def test_contexts_speak_tls_12_and_up(tmp_path):
    """And no renegotiation."""
    context = load_certificate(write(tmp_path, "one", "tun.example")).context

    assert context.minimum_version is ssl.TLSVersion.TLSv1_2
    assert context.options & ssl.OP_NO_RENEGOTIATION


def test_a_directory_holds_pairs_bundles_and_certbots_folders(tmp_path):
    """Whatever wrote them."""
    write(tmp_path, "pair", "pair.example")
    bundle = write(tmp_path, "bundle", "bundle.example")
    bundle.certificate.write_bytes(bundle.key.read_bytes() + bundle.certificate.read_bytes())
    bundle.key.unlink()
    made = write(tmp_path, "made", "certbot.example")
    folder = tmp_path / "certbot.example"
    folder.mkdir()
    made.certificate.rename(folder / "fullchain.pem")
    made.key.rename(folder / "privkey.pem")

    certificates = Certificates([], [tmp_path], now=NOW)

    for name in ("pair.example", "bundle.example", "certbot.example"):
        assert names_for(certificates, name) == (name,)


def test_a_directory_may_be_empty_at_first(tmp_path):
    """As before the first certificate by ACME; there is nothing to show then."""
    certificates = Certificates([], [tmp_path / "later"], now=NOW)
    assert certificates.context_for("tun.example") is None

    (tmp_path / "later").mkdir()
    write(tmp_path / "later", "one", "tun.example")

    assert certificates.reload(now=NOW)
    assert names_for(certificates, "tun.example") == ("tun.example",)


def test_changed_files_are_read_again(tmp_path):
    """And unchanged ones are not."""
    files = write(tmp_path, "one", "tun.example", days=10)
    certificates = Certificates([files], now=NOW)
    assert not certificates.reload(now=NOW)

    write(tmp_path, "one", "tun.example", "new.example")

    assert certificates.reload(now=NOW)
    assert names_for(certificates, "new.example") == ("tun.example", "new.example")
    assert not certificates.reload(now=NOW)


def test_what_is_deleted_from_a_directory_is_shown_no_more(tmp_path):
    """A file that was named and is gone stays in use: that is a mistake."""
    named, found = tmp_path / "named", tmp_path / "found"
    named.mkdir()
    found.mkdir()
    ours = write(named, "one", "one.example")
    theirs = write(found, "two", "two.example")
    certificates = Certificates([ours], [found], now=NOW)

    theirs.certificate.unlink()
    ours.certificate.unlink()
    certificates.reload(now=NOW)

    assert names_for(certificates, "two.example") is None
    assert names_for(certificates, "one.example") == ("one.example",)


def test_a_directory_that_cannot_be_looked_at_keeps_what_it_had(tmp_path, caplog, monkeypatch):
    """As on a network disk that is away for a while."""
    write(tmp_path, "one", "tun.example")
    certificates = Certificates([], [tmp_path], now=NOW)

    def broken(_directory):
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr("hookloop.tunnel.relay.certificates._pairs_in", broken)

    assert not certificates.reload(now=NOW)
    assert names_for(certificates, "tun.example") == ("tun.example",)
    assert "Input/output error" in caplog.text


@pytest.mark.parametrize("broken", ["certificate", "key"])
def test_a_broken_new_file_keeps_the_old_certificate(tmp_path, caplog, broken):
    """The log says so once; the next good pair is taken."""
    files = write(tmp_path, "one", "tun.example")
    certificates = Certificates([files], now=NOW)
    context = certificates.context_for("tun.example")
    getattr(files, broken).write_text("not PEM")

    with caplog.at_level(logging.ERROR, "hookloop.relay"):
        assert not certificates.reload(now=NOW)
        assert not certificates.reload(now=NOW)

    assert certificates.context_for("tun.example") is context
    assert [record.message.partition(",")[0] for record in caplog.records] == [
        "certificate not read"
    ]
    write(tmp_path, "one", "tun.example")
    assert certificates.reload(now=NOW)
    assert certificates.context_for("tun.example") is not context


def test_a_key_of_another_certificate_is_named(tmp_path):
    """The commonest mistake."""
    one, two = write(tmp_path, "one", "tun.example"), write(tmp_path, "two", "tun.example")

    with pytest.raises(ConfigError, match=r"two\.key: the key is not the one of .*one\.pem"):
        load_certificate(CertificateFiles(one.certificate, two.key))


def test_an_encrypted_key_is_refused_and_not_asked_about(tmp_path):
    """OpenSSL would ask for the password on the terminal, and the relay would hang."""
    from cryptography.hazmat.primitives import serialization as s

    files = write(tmp_path, "one", "tun.example")
    key = s.load_pem_private_key(files.key.read_bytes(), None)
    locked = s.BestAvailableEncryption(b"secret")
    files.key.write_bytes(key.private_bytes(s.Encoding.PEM, s.PrivateFormat.PKCS8, locked))

    with pytest.raises(ConfigError, match="is encrypted"):
        load_certificate(files)


def test_a_key_that_everybody_can_read_is_said_to_be_one(tmp_path, caplog):
    """It works, and its owner should know."""
    files = write(tmp_path, "one", "tun.example")
    load_certificate(files)
    assert caplog.records == []

    files.key.chmod(0o644)
    load_certificate(files)

    assert "key can be read by everybody" in caplog.text


def test_a_file_that_is_not_there_is_named(tmp_path):
    """With the reason."""
    with pytest.raises(ConfigError, match=r"cannot read .*none\.pem: No such file"):
        load_certificate(CertificateFiles(tmp_path / "none.pem", tmp_path / "none.key"))


@pytest.mark.parametrize(("days", "said"), [(10, "expires soon"), (-1, "has expired")])
def test_expiry_is_said_in_the_log(tmp_path, caplog, days, said):
    """While there is time to do something, and after."""
    issued = CA.issue_cert(
        "tun.example",
        not_before=NOW - timedelta(days=90),
        not_after=NOW + timedelta(days=days),
    )
    path = tmp_path / "bundle.pem"
    pems = [issued.private_key_pem, *issued.cert_chain_pems]
    path.write_bytes(b"".join(pem.bytes() for pem in pems))

    with caplog.at_level(logging.WARNING, "hookloop.relay"):
        Certificates([CertificateFiles(path, path)], now=NOW)

    assert said in caplog.text
