"""A folder as an upstream: the right files with the right words, and no others."""

import asyncio
import os

import pytest
from tunnel_loop import Caller, on_a_loop

from hookloop.errors import ConfigError
from hookloop.tunnel.agent.address import Folder
from hookloop.tunnel.agent.folder import running_folder


@pytest.fixture
def public(tmp_path):
    """A folder with a bit of everything, and a secret beside it."""
    (tmp_path / "secret.txt").write_text("outside")
    root = tmp_path / "public"
    (root / "docs").mkdir(parents=True)
    (root / ".git").mkdir()
    (root / ".well-known").mkdir()
    (root / "index.html").write_text("<h1>home</h1>")
    (root / "docs" / "index.html").write_text("<h1>docs</h1>")
    (root / "app.js").write_text("let a = 1")
    (root / "numbers.bin").write_bytes(bytes(range(256)))
    (root / ".env").write_text("SECRET=1")
    (root / ".git" / "config").write_text("[core]")
    (root / ".well-known" / "security.txt").write_text("mailto:x")
    (root / "escape.txt").symlink_to(tmp_path / "secret.txt")
    (root / "plain.txt").symlink_to(root / ".env")
    (root / "home.html").symlink_to(root / "index.html")
    return root


async def ask(upstream, target: bytes, method: bytes = b"GET", fields: bytes = b""):
    caller = Caller(*await asyncio.open_unix_connection(upstream.socket_path))
    try:
        request = b"%b %b HTTP/1.1\r\nHost: localhost\r\n%b\r\n" % (method, target, fields)
        return await caller.ask(request)
    finally:
        await caller.close()


FILES = {
    b"/": (b"text/html; charset=utf-8", b"<h1>home</h1>"),
    b"/docs/": (b"text/html; charset=utf-8", b"<h1>docs</h1>"),
    b"/home.html": (b"text/html; charset=utf-8", b"<h1>home</h1>"),
    b"/app.js": (b"text/javascript; charset=utf-8", b"let a = 1"),
    b"/numbers.bin": (b"application/octet-stream", bytes(range(256))),
    b"/.well-known/security.txt": (b"text/plain; charset=utf-8", b"mailto:x"),
}


@on_a_loop
async def test_files_are_served_with_their_type(public):
    """A folder by its index."""
    async with running_folder(Folder(public)) as upstream:
        answers = {target: await ask(upstream, target) for target in FILES}

    assert {answer.status for answer in answers.values()} == {200}
    assert {
        target: (answer.values(b"content-type")[0], answer.body)
        for target, answer in answers.items()
    } == FILES


NO_FILES = [
    *(b"/.env", b"/.git/config", b"/.git/", b"/plain.txt"),  # by name, by folder, by a link
    *(b"/escape.txt", b"/../secret.txt", b"/%2e%2e/secret.txt", b"/docs/..%2f..%2fsecret.txt"),
    *(b"//etc/passwd", b"/%2fetc/passwd", b"/docs/%2e%2e/.env", b"/nothing"),
    *(b"/a%00b", b"/" + b"a" * 4000, b"/docs/index.html/x"),
]


@on_a_loop
async def test_nothing_else_is(public):
    """What is hidden, and what lies outside, is not there."""
    async with running_folder(Folder(public)) as upstream:
        answers = {target: await ask(upstream, target) for target in NO_FILES}

    assert {target: answer.status for target, answer in answers.items()} == dict.fromkeys(
        NO_FILES, 404
    )
    assert not any(b"SECRET" in answer.body for answer in answers.values())


@on_a_loop
async def test_a_part_of_a_file_can_be_asked_for(public):
    """Videos are wound by it."""
    async with running_folder(Folder(public)) as upstream:
        part = await ask(upstream, b"/numbers.bin", fields=b"Range: bytes=10-19\r\n")
        beyond = await ask(upstream, b"/numbers.bin", fields=b"Range: bytes=900-\r\n")

    assert (part.status, part.body) == (206, bytes(range(10, 20)))
    assert part.values(b"content-range") == [b"bytes 10-19/256"]
    assert beyond.status == 416


@on_a_loop
async def test_a_file_that_has_not_changed_is_not_sent_again(public):
    """By its tag, and by its time."""
    async with running_folder(Folder(public)) as upstream:
        first = await ask(upstream, b"/app.js")
        [tag], [changed] = first.values(b"etag"), first.values(b"last-modified")
        by_tag = await ask(upstream, b"/app.js", fields=b"If-None-Match: %b\r\n" % tag)
        by_time = await ask(upstream, b"/app.js", fields=b"If-Modified-Since: %b\r\n" % changed)
        (public / "app.js").write_text("let a = 2; let b = 3")
        os.utime(public / "app.js", (2e9, 2e9))
        anew = await ask(upstream, b"/app.js", fields=b"If-None-Match: %b\r\n" % tag)

    assert (by_tag.status, by_time.status) == (304, 304)
    assert (anew.status, anew.body) == (200, b"let a = 2; let b = 3")


@on_a_loop
async def test_files_are_only_read(public):
    """HEAD has the head alone; nothing can be put there."""
    async with running_folder(Folder(public)) as upstream:
        head = await ask(upstream, b"/app.js", b"HEAD")
        put = await ask(upstream, b"/new.txt", b"PUT")

    assert head.status == 200
    assert head.values(b"content-length") == [b"9"]
    assert put.status == 405


@on_a_loop
async def test_a_folder_without_a_slash_leads_to_it(public):
    """With the scheme the caller used."""
    async with running_folder(Folder(public)) as upstream:
        answer = await ask(upstream, b"/docs", fields=b"X-Forwarded-Proto: https\r\n")

    assert answer.status == 307
    assert answer.values(b"location") == [b"https://localhost/docs/"]


@on_a_loop
async def test_what_is_no_folder_is_refused(tmp_path):
    """Before there is a URL."""
    with pytest.raises(ConfigError, match="is the path right"):
        async with running_folder(Folder(tmp_path / "missing")):
            pass
