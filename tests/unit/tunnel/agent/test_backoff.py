"""How long to wait before trying again."""

from random import Random

from hookloop.tunnel.agent.backoff import FIRST_SECONDS, LONGEST_SECONDS, Backoff


class Longest:
    def uniform(self, a, b):
        assert a == b / 2
        return b


def test_waits_double_up_to_the_longest():
    """Nobody should have to restart an agent by hand."""
    backoff = Backoff(Longest())

    waits = [backoff.next_seconds() for _ in range(9)]

    assert waits[:3] == [FIRST_SECONDS, 2 * FIRST_SECONDS, 4 * FIRST_SECONDS]
    assert waits[-2:] == [LONGEST_SECONDS, LONGEST_SECONDS]


def test_a_session_that_worked_begins_anew():
    """Its loss is a new event, not the last one going on."""
    backoff = Backoff(Longest())
    for _ in range(5):
        backoff.next_seconds()

    backoff.reset()

    assert backoff.next_seconds() == FIRST_SECONDS


def test_a_thousand_agents_do_not_come_back_at_once():
    """The draw spreads them over half of the wait."""
    waits = {Backoff(Random(seed)).next_seconds() for seed in range(100)}

    assert len(waits) == 100
    assert all(FIRST_SECONDS / 2 <= wait <= FIRST_SECONDS for wait in waits)
