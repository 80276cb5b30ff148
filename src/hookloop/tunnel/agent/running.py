"""An agent for the length of a with-block."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from hookloop.clock import Clock
from hookloop.exchange import CaptureSink, discard
from hookloop.tunnel.catch.observer import CatchObserver, nobody

from .client import Agent, say_nothing
from .config import AgentConfig
from .observer import AgentObserver
from .raw_forward import RawConnection

__all__ = ["running_agent"]


@asynccontextmanager
async def running_agent(
    config: AgentConfig,
    *,
    clock: Clock | None = None,
    sink: CaptureSink = discard,
    observer: AgentObserver | None = None,
    catch_observer: CatchObserver = nobody,
    connection_ended: Callable[[RawConnection], None] = say_nothing,
    keep_max: int = 0,
) -> AsyncIterator[Agent]:
    """
    Run an agent for the length of a with-block, entered once each tunnel is up or refused.

    Raises `RefusedError` if the relay refuses it, or all its tunnels, at the start or, ending
    the block, after a reconnect. While the relay cannot be reached the agent keeps
    trying, so put a timeout around it where that is too patient.

    *keep_max*: bytes of each body that an `Exchange` holds on to, for *sink*.
    """
    agent = Agent(
        config,
        clock=clock,
        sink=sink,
        observer=observer,
        catch_observer=catch_observer,
        connection_ended=connection_ended,
        keep_max=keep_max,
    )
    running = asyncio.ensure_future(agent.run())
    waiting = asyncio.ensure_future(agent.wait_settled())
    try:
        await asyncio.wait({running, waiting}, return_when=asyncio.FIRST_COMPLETED)
        for done in (running, waiting):
            if done.done():
                done.result()
        async with _ended_by(running):
            yield agent
    finally:
        try:
            # However the block ends: Ctrl+C cancels it, and the name is given back all the same.
            await agent.close()
        finally:
            for task in (waiting, running):
                task.cancel()
            await asyncio.gather(waiting, running, return_exceptions=True)
            await agent.stop_catching()


@asynccontextmanager
async def _ended_by(running: asyncio.Future[None]) -> AsyncIterator[None]:
    """Cancel the block when *running* fails, and raise its error instead."""
    owner = asyncio.current_task()
    assert owner is not None  # noqa: S101  # for the type checker: we are in a coroutine
    is_interrupted = False

    def interrupt(done: asyncio.Future[None]) -> None:
        nonlocal is_interrupted
        if not done.cancelled() and done.exception() is not None:
            is_interrupted = True
            owner.cancel()

    running.add_done_callback(interrupt)
    try:
        yield
    except asyncio.CancelledError:
        if is_interrupted and owner.uncancel() == 0:
            running.result()
        raise
    finally:
        running.remove_done_callback(interrupt)
