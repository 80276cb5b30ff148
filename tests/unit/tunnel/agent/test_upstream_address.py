"""Where the local service is."""

from pathlib import Path

import pytest

from hookloop.errors import ConfigError
from hookloop.tunnel.agent.address import Folder, Upstream, parse_target, parse_upstream

LOCAL = Upstream("localhost", 3000)


@pytest.mark.parametrize(
    ("text", "upstream"),
    [
        ("3000", LOCAL),
        ("localhost:3000", LOCAL),
        ("http://localhost:3000", LOCAL),
        ("http://localhost:3000/", LOCAL),
        ("http://3000", LOCAL),
        ("127.0.0.1:1", Upstream("127.0.0.1", 1)),
        ("[::1]:65535", Upstream("::1", 65535)),
        ("http://app.test", Upstream("app.test", 80)),
        ("https://app.test", Upstream("app.test", 443, "https")),
        ("https://3000", Upstream("localhost", 3000, "https")),
        ("https://x:8443", Upstream("x", 8443, "https")),
        ("443", Upstream("localhost", 443, "https")),
        ("app.test:443", Upstream("app.test", 443, "https")),
        ("http://app.test:443", Upstream("app.test", 443)),
        ("unix:/run/app.sock", Upstream("localhost", 80, socket_path="/run/app.sock")),
        ("unix:///run/app.sock", Upstream("localhost", 80, socket_path="/run/app.sock")),
    ],
)
def test_a_local_service_is_a_port_an_address_or_a_url(text, upstream):
    """However it was copied; port 443 without a scheme is TLS, as everywhere."""
    assert parse_upstream(text) == upstream


@pytest.mark.parametrize(
    "text",
    [
        *("", "0", "65536", "x", "x:", ":80", "http://x:80/a", "a b:80", "\u00b2", "x:99999"),
        *("ftp://x:80", "unix:", "https://", "http://u:p@x:80"),
    ],
)
def test_anything_else_is_refused_with_an_example(text):
    """The message repeats what was given."""
    with pytest.raises(ConfigError, match="3000"):
        parse_upstream(text)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("3000", "http://localhost:3000"),
        ("[::1]:80", "http://[::1]:80"),
        ("https://app.test", "https://app.test:443"),
        ("unix:/run/app.sock", "unix:/run/app.sock"),
    ],
)
def test_an_upstream_shows_itself_as_it_was_given(text, shown):
    """As callers see it in a 502."""
    assert str(parse_upstream(text)) == shown


@pytest.mark.parametrize(
    ("text", "path"),
    [
        (".", "."),
        ("./public", "public"),
        ("../site", "../site"),
        ("/srv/www", "/srv/www"),
        ("file:///srv/www", "/srv/www"),
        ("C:\\site", "C:\\site"),
    ],
)
def test_a_folder_is_what_looks_like_one(text, path):
    """Without a look at the disk."""
    assert parse_target(text) == Folder(Path(path))


def test_a_bare_word_is_a_folder_where_there_is_one(tmp_path, monkeypatch):
    """`hookloop http public`, and nothing is guessed beyond that."""
    (tmp_path / "public").mkdir()
    (tmp_path / "3000").mkdir()
    monkeypatch.chdir(tmp_path)

    assert parse_target("public") == Folder(Path("public"))
    assert parse_target("3000") == LOCAL
    with pytest.raises(ConfigError, match="3000"):
        parse_target("private")
