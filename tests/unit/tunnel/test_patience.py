"""A deadline that moves, on a timer that seldom does."""

import asyncio

from hookloop.tunnel.patience import Patience

HOUR = 3600.0


class Watched:
    """A patience, the clock it reads, and a future of when it ran out."""

    def __init__(self):
        self.now = 0.0
        self.ran_out = asyncio.Event()
        self.patience = Patience(self, self.ran_out.set)

    def monotonic(self):
        return self.now

    async def look(self):
        """Let the timer that is due look, as if the time had come."""
        timer = self.patience._timer
        self.patience._look()
        timer.cancel()
        await asyncio.sleep(0)
        return self.ran_out.is_set()


def with_patience(test):
    def run():
        async def main():
            watched = Watched()
            await test(watched)
            watched.patience.close()

        asyncio.run(main())

    run.__doc__ = test.__doc__
    return run


@with_patience
async def test_it_runs_out_when_its_time_has_passed(watched):
    """Once."""
    watched.patience.wait(1.0)
    watched.now = 1.0

    assert await watched.look()
    assert watched.patience._timer is None


@with_patience
async def test_a_real_timer_runs_it_out(watched):
    """The least time between two looks is a short one."""
    watched.patience.wait(HOUR)
    watched.now = HOUR / 2
    watched.patience.wait_no_longer(0.0)

    await asyncio.wait_for(watched.ran_out.wait(), 5)


@with_patience
async def test_a_deadline_that_moves_away_is_found_to_have_moved(watched):
    """The timer is left where it was, and set again when it looks."""
    watched.patience.wait(1.0)
    timer = watched.patience._timer
    watched.now = 0.5
    watched.patience.wait(1.0)
    assert watched.patience._timer is timer
    watched.now = 1.0

    assert not await watched.look()
    watched.now = 1.5
    assert await watched.look()


@with_patience
async def test_a_deadline_that_comes_nearer_sets_the_timer_anew(watched):
    """Or it would be noticed too late."""
    watched.patience.wait(HOUR)
    timer = watched.patience._timer
    watched.patience.wait(1.0)

    assert timer.cancelled()
    watched.now = 1.0
    assert await watched.look()


@with_patience
async def test_no_longer_never_means_longer(watched):
    """The earlier of both deadlines holds."""
    watched.patience.wait(1.0)
    watched.patience.wait_no_longer(HOUR)
    watched.now = 1.0

    assert await watched.look()


@with_patience
async def test_a_wait_that_was_stopped_never_runs_out(watched):
    """The timer looks once more, and rests."""
    watched.patience.wait(1.0)
    watched.patience.stop()
    watched.now = HOUR

    assert not await watched.look()
    assert watched.patience._timer is None


@with_patience
async def test_a_deadline_that_has_passed_is_not_pushed_away_by_another(watched):
    """As by each byte of a body that is late already."""
    watched.patience.wait(-1.0)
    timer = watched.patience._timer
    watched.now = 0.01
    watched.patience.wait(-1.0)

    assert watched.patience._timer is timer
    assert await watched.look()
