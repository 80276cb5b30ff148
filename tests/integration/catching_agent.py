"""
An agent in catch mode, to be killed.

    python catching_agent.py RELAY_URL TOKEN NAME UPSTREAM_PORT FOLDER

Says ``up`` once callers reach it, and then the number of requests caught, after each.
"""

import asyncio
import sys
from pathlib import Path

from hookloop.tunnel.agent import AgentConfig, TunnelConfig, running_agent
from hookloop.tunnel.agent.config import parse_upstream
from hookloop.tunnel.catch.config import CatchConfig
from hookloop.tunnel.catch.observer import Caught


class Teller:
    def __init__(self) -> None:
        self._caught = 0

    def catch_event(self, event) -> None:
        if isinstance(event, Caught):
            self._caught += 1
            print(self._caught, flush=True)


async def main(relay_url: str, token: str, name: str, port: str, folder: str) -> None:
    tunnel = TunnelConfig(parse_upstream(port), name, catch=CatchConfig(folder=Path(folder)))
    config = AgentConfig(relay_url, token, (tunnel,))
    async with running_agent(config, catch_observer=Teller()):
        print("up", flush=True)
        await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
