"""The list of hosts that a relay catches for: kept over restarts, and bounded."""

import json

import pytest

from hookloop.errors import ConfigError, StoreError
from hookloop.tunnel.relay.catch_register import (
    REGISTERED_PER_TOKEN_MAX,
    REGISTERED_SECONDS,
    Register,
    Registered,
)
from hookloop.tunnel.relay.config import RelayConfig


def registered(host="shop.tun.test", *, token="t1", seen_at=0.0) -> Registered:
    return Registered(host, host.partition(".")[0], token, 202, ("/hook",), seen_at)


def test_a_restart_finds_what_was_put(tmp_path):
    """And not what was removed."""
    register = Register(tmp_path / "hosts.json")
    register.put(registered(), now=0)
    register.put(registered("old.tun.test"), now=0)
    register.remove("old.tun.test")
    register.remove("never.tun.test")

    again = Register(tmp_path / "hosts.json")

    assert again.everything() == [registered()]
    assert again.find("shop.tun.test", now=0) == registered()
    assert again.find("old.tun.test", now=0) is None


def test_the_latest_owner_of_a_host_is_the_one(tmp_path):
    """A name that went to somebody else is theirs."""
    register = Register(tmp_path / "hosts.json")
    register.put(registered(token="t1"), now=0)
    register.put(registered(token="t2"), now=0)

    assert register.find("shop.tun.test", now=0).token == "t2"


def test_a_host_whose_agent_is_gone_for_a_week_is_caught_for_no_longer(tmp_path):
    """Its senders should hear that nobody is there; the file forgets it at the next change."""
    register = Register(tmp_path / "hosts.json")
    register.put(registered(), now=0)
    later = REGISTERED_SECONDS + 1

    assert register.find("shop.tun.test", now=later) is None
    register.put(registered("new.tun.test", seen_at=later), now=later)
    assert [known.host for known in register.everything()] == ["new.tun.test"]


def test_a_token_has_so_many_and_the_longest_gone_makes_room(tmp_path):
    """One that binds ever new names fills no disk; another token's stay."""
    register = Register(tmp_path / "hosts.json")
    register.put(registered("other.tun.test", token="t2"), now=0)
    for number in range(REGISTERED_PER_TOKEN_MAX + 1):
        register.put(registered(f"n{number}.tun.test", seen_at=float(number)), now=number)

    hosts = {known.host for known in register.everything()}
    assert len(hosts) == REGISTERED_PER_TOKEN_MAX + 1
    assert "n0.tun.test" not in hosts
    assert "other.tun.test" in hosts


def test_an_agent_that_stays_is_seen_every_hour(tmp_path):
    """Its week begins when it leaves, not when it came."""
    register = Register(tmp_path / "hosts.json")
    register.put(registered(), now=0)
    register.seen(["shop.tun.test"], now=REGISTERED_SECONDS)
    register.seen([], now=9 * REGISTERED_SECONDS)

    assert Register(tmp_path / "hosts.json").find("shop.tun.test", now=REGISTERED_SECONDS + 1)


def test_an_agent_that_comes_back_within_the_hour_costs_no_write(tmp_path):
    """After a restart of the relay all of them come at once."""
    register = Register(tmp_path / "hosts.json")
    register.put(registered(), now=0)
    (tmp_path / "hosts.json").unlink()
    register.put(registered(seen_at=10.0), now=10)
    assert not (tmp_path / "hosts.json").exists()
    register.put(registered(token="t2", seen_at=11.0), now=11)

    assert (tmp_path / "hosts.json").exists()


@pytest.mark.parametrize(
    "text", ["", "{}", "[]", '{"hosts": [{"host": "x"}]}', json.dumps({"hosts": 7})]
)
def test_a_file_of_something_else_is_not_overwritten(tmp_path, text):
    """It is named instead."""
    (tmp_path / "hosts.json").write_text(text)

    with pytest.raises(ConfigError, match=r"hosts\.json"):
        Register(tmp_path / "hosts.json")


def test_a_disk_that_cannot_is_an_error_and_changes_nothing(tmp_path):
    """What is answered rests on what is on the disk."""
    register = Register(tmp_path / "gone" / "hosts.json")

    with pytest.raises(StoreError, match="cannot be written"):
        register.put(registered(), now=0)
    assert register.everything() == []


def test_a_relay_of_several_processes_does_not_catch(tmp_path):
    """The file is one process's."""
    with pytest.raises(ConfigError, match="one process"):
        RelayConfig(domain="tun.test", tokens=("x",), catch_folder=tmp_path, workers=2)
