"""Many seeds of the world. A failure says which; see README.md for how to play it again."""

import os
from functools import cache

import pytest
from world import World

SEEDS = range(20)
BLOCKS = range(10, 20)  # of a hundred seeds each


@cache
def play(seed):
    """Play the world of one seed; return it."""
    world = World(seed)
    try:
        world.run()
    except Exception as error:
        where = f"seed={seed} step={world.steps} time={world.now - 1000:.2f}"
        raise AssertionError(f"HOOKLOOP_SIM_SEED={seed}: {error} ({where})") from error
    return world


@pytest.mark.parametrize("seed", SEEDS)
def test_every_caller_gets_one_answer(seed):
    """Whole, or seen to be cut; see `world` for the rest."""
    play(seed)


@pytest.mark.slow
@pytest.mark.parametrize("block", BLOCKS)
def test_every_caller_gets_one_answer_in_many_worlds(block):
    """The same for `make test-all`."""
    for seed in range(100 * block, 100 * block + 100):
        play.__wrapped__(seed)


def test_a_given_seed():
    """The one of HOOKLOOP_SIM_SEED, to look at what failed."""
    play(int(os.environ.get("HOOKLOOP_SIM_SEED", "0")))


def test_the_worlds_are_not_dull():
    """Seeds that never cut, moved or finished anything would prove nothing."""
    worlds = [play(seed) for seed in SEEDS]
    outcomes = [call.outcomes[0] for world in worlds for call in world.calls]

    assert {"answered", "cut", "left"} == set(outcomes)
    assert outcomes.count("answered") > len(outcomes) // 2
    assert sum(world.moves for world in worlds) > 20
    assert sum(world.sessions_begun for world in worlds) > 24
