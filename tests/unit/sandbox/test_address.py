"""Where the sandbox listens."""

import socket

import pytest

from hookloop.errors import ConfigError
from hookloop.sandbox.address import base_address, bound_socket, unix_socket


class Bound:
    """A socket, as far as its name goes."""

    def __init__(self, *name: object) -> None:
        self._name = name

    def getsockname(self) -> tuple[object, ...]:
        return self._name


def test_an_ipv6_address_is_written_with_brackets():
    """So that it can be pasted into a client."""
    assert base_address(Bound("::1", 12111, 0, 0)) == "http://[::1]:12111"
    assert base_address(Bound("127.0.0.1", 12111)) == "http://127.0.0.1:12111"


def test_the_socket_names_its_protocol():
    """Or asyncio leaves Nagle's algorithm on, and each answer waits 40 ms."""
    with bound_socket("127.0.0.1", 0) as bound:
        assert bound.proto == socket.IPPROTO_TCP


def test_an_address_that_is_not_ours_is_refused():
    """With the address, and what to do."""
    with pytest.raises(ConfigError, match=r"cannot listen on 203\.0\.113\.1 port 0: .*--port"):
        bound_socket("203.0.113.1", 0)


def test_a_unix_socket_is_for_this_user_and_gone_at_the_end(tmp_path):
    path = tmp_path / "stripe.sock"
    with unix_socket(path) as [bound]:
        assert path.stat().st_mode & 0o777 == 0o600
        assert bound.getsockname() == str(path)

    assert not path.exists()


def test_one_that_nobody_listens_on_is_replaced(tmp_path):
    """As a sandbox that was killed leaves it."""
    path = tmp_path / "stripe.sock"
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(str(path))

    with unix_socket(path):
        assert path.exists()


@pytest.mark.parametrize("kind", ["a file", "in use", "no folder"])
def test_what_is_not_ours_to_replace_is_told(tmp_path, kind):
    path = tmp_path / "stripe.sock"
    with socket.socket(socket.AF_UNIX) as other:
        if kind == "a file":
            path.write_text("precious")
        elif kind == "in use":
            other.bind(str(path))
            other.listen()
        else:
            path = tmp_path / "none" / "stripe.sock"
        with pytest.raises(ConfigError, match="--unix-socket"), unix_socket(path):
            pass

    assert kind == "no folder" or path.exists()
