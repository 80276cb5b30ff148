"""Sends the doctor's probes over real sockets; what to send and what it means is not its own."""

import contextlib
import os
from urllib.parse import urlsplit

import aiohttp

from hookloop.clock import SystemClock
from hookloop.doctor import Answer, Probe, next_probes
from hookloop.errors import ConfigError
from hookloop.sandbox.client import LoopbackResolver

__all__ = ["sent_probes"]

EXCERPT_BYTES_MAX = 32 * 1024  # error pages say what they are within the first few KB


async def sent_probes(url: str, secret: str | None, *, timeout_seconds: float) -> dict[str, Answer]:
    """
    POST probes to *url*, one after the other, and return the answers by the probes' names.

    Whatever the network does is an `Answer`. Raises `ConfigError` where *url* is no
    address to post to.
    """
    _check(url)
    now = int(SystemClock().wall())
    answers: dict[str, Answer] = {}
    async with aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(force_close=True, resolver=LoopbackResolver()),
        cookie_jar=aiohttp.DummyCookieJar(),
        timeout=aiohttp.ClientTimeout(total=timeout_seconds),
    ) as session:
        while probes := next_probes(answers, secret, url=url, now=now):
            for probe in probes:
                answers[probe.name] = await _post(session, url, probe, timeout_seconds)
    return answers


def _check(url: str) -> None:
    try:
        parts = urlsplit(url)
        is_usable = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        is_usable = False
    if not is_usable:
        raise ConfigError("the URL must be absolute, such as http://localhost:3000/webhooks/stripe")


async def _post(
    session: aiohttp.ClientSession, url: str, probe: Probe, timeout_seconds: float
) -> Answer:
    try:
        async with session.post(
            url, data=probe.body, headers=list(probe.headers), allow_redirects=False
        ) as response:
            headers = tuple(
                (name.decode("latin-1"), value.decode("latin-1"))
                for name, value in response.raw_headers
            )
            return Answer(response.status, headers, await _excerpt(response))
    except TimeoutError:
        return Answer(None, error=f"nothing within {timeout_seconds:g} s")
    except aiohttp.ClientConnectorDNSError as error:
        return Answer(None, error=f"host not found: {error.host}")
    except aiohttp.ClientSSLError as error:
        return Answer(None, error=f"TLS failed: {type(error).__name__}")
    except aiohttp.ClientConnectorError as error:
        reason = os.strerror(error.errno) if error.errno else "refused"
        return Answer(None, error=f"cannot connect to {error.host}:{error.port}: {reason}")
    except (aiohttp.ClientError, OSError, ValueError) as error:
        return Answer(None, error=f"no valid answer: {type(error).__name__}")


async def _excerpt(response: aiohttp.ClientResponse) -> str:
    body = b""
    with contextlib.suppress(aiohttp.ClientError, OSError, TimeoutError):
        while len(body) < EXCERPT_BYTES_MAX and not response.content.at_eof():
            body += await response.content.read(EXCERPT_BYTES_MAX - len(body))
    return body.decode(errors="replace")
