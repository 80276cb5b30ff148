"""What came of a POST by aiohttp, in words: how an answer begins, and why there is none."""

import contextlib

import aiohttp

__all__ = ["beginning_of", "reason_of"]


async def beginning_of(response: aiohttp.ClientResponse, *, bytes_max: int) -> str:
    """Return how the body begins; a body that breaks off takes nothing from the status."""
    body = b""
    with contextlib.suppress(aiohttp.ClientError, OSError, TimeoutError):
        while len(body) < bytes_max and not response.content.at_eof():
            body += await response.content.read(bytes_max - len(body))
    if not response.content.at_eof():
        response.close()  # the rest is not worth its bytes
    return body.decode(errors="replace")


def reason_of(error: Exception) -> str:
    """Return why no answer came, without what the user knows already."""
    if isinstance(error, aiohttp.ClientConnectorDNSError):
        return f"host not found: {error.host}"
    if isinstance(error, aiohttp.ClientSSLError):
        return f"TLS failed: {type(error).__name__}"
    if isinstance(error, aiohttp.ClientConnectorError):
        return f"cannot connect to {error.host}:{error.port}: {error.strerror or 'refused'}"
    if isinstance(error, aiohttp.ServerDisconnectedError | ConnectionResetError):
        return "the connection was closed before an answer came"
    return f"no valid answer: {type(error).__name__}"
