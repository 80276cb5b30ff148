"""The address we would send from."""

from hookloop.tunnel.agent.route import local_address


def test_the_way_to_this_machine_begins_on_it():
    """In both families."""
    assert local_address(("127.0.0.1", 9)) == "127.0.0.1"
    assert local_address(("::1", 9, 0, 0)) in {"::1", None}  # no IPv6 in some containers


def test_where_there_is_no_way_there_is_no_address():
    """A port that cannot be sent to stands for a network that is down: both are an OSError."""
    assert local_address(("255.255.255.255", 9)) is None
