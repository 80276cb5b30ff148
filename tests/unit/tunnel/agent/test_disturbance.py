"""What a tick may have to tell."""

import pytest

from hookloop.tunnel.agent.disturbance import Glance, disturbance

BEFORE = Glance(wall=1000.0, monotonic=50.0, address="10.0.0.7")


@pytest.mark.parametrize(
    ("now", "told"),
    [
        (Glance(1001.0, 51.0, "10.0.0.7"), None),
        (Glance(1003.9, 53.9, "10.0.0.7"), None),  # a busy loop
        (Glance(1003.5, 51.0, "10.0.0.7"), None),  # a clock that was set right
        (Glance(900.0, 51.0, "10.0.0.7"), None),  # and back
        (Glance(8200.0, 51.0, "10.0.0.7"), "the machine was asleep"),  # Linux, macOS
        (Glance(8200.0, 7250.0, "10.0.0.7"), "the machine was asleep"),  # Windows; SIGSTOP
        (Glance(1001.0, 51.0, "192.168.1.4"), "the network changed"),
        (Glance(1001.0, 51.0, None), "the network is gone"),
        (Glance(8200.0, 51.0, None), "the machine was asleep"),
    ],
)
def test_sleep_and_changes_of_the_network_are_told(now, told):
    """Each is a reason to ask the relay for a sign of life."""
    assert disturbance(BEFORE, now) == told


def test_a_network_that_comes_back_is_told():
    """The moment to try again."""
    gone = Glance(1000.0, 50.0, None)

    assert disturbance(gone, Glance(1001.0, 51.0, "10.0.0.7")) == "the network changed"
