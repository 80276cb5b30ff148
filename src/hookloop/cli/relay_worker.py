"""
One worker of a relay with several: `python -m hookloop.cli.relay_worker DESCRIPTOR`.

`hookloop relay --workers N` starts it; nobody else has the other end of its socket.
"""

import asyncio
import signal
import sys

from hookloop.tunnel.relay.worker import introduced, serve

from .relay_log import relay_log
from .runner import loop_factory

__all__ = ["main"]


def main() -> None:
    """Serve until the supervisor says otherwise, or has gone."""
    # Signals are the supervisor's: it tells its workers, in order.
    for ignored in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(ignored, signal.SIG_IGN)
    sock, config, index, path = introduced(int(sys.argv[1]))
    with (
        relay_log(config.log_format, config.log_level),
        asyncio.Runner(loop_factory=loop_factory()) as runner,
    ):
        runner.run(serve(sock, config, index, path))


if __name__ == "__main__":
    main()
