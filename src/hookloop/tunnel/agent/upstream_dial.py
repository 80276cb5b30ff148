"""Connects to an upstream: by TCP, with TLS, or by a Unix socket; where it fails, says why."""

import asyncio
import os
import ssl
from collections.abc import Callable
from typing import TypeVar

from hookloop.errors import ConfigError

from .address import Upstream

__all__ = ["UpstreamTlsError", "open_upstream", "upstream_tls", "why_not_connected"]

ProtocolT = TypeVar("ProtocolT", bound=asyncio.Protocol)


class UpstreamTlsError(OSError):
    """The upstream is there, and TLS with it does not come about."""


def upstream_tls(upstream: Upstream) -> ssl.SSLContext | None:
    """Return what TLS with *upstream* takes, or None where it is spoken to in the clear."""
    if upstream.scheme != "https" or upstream.socket_path is not None:
        return None
    context = ssl.create_default_context()
    if upstream.ca_file is not None:
        try:
            context.load_verify_locations(upstream.ca_file)
        except ssl.SSLError:
            raise ConfigError(f"{upstream.ca_file} holds no PEM certificate") from None
        except OSError as error:
            raise ConfigError(f"cannot read {upstream.ca_file}: {error.strerror}") from None
    if not upstream.is_verified:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    context.set_alpn_protocols(["http/1.1"])
    return context


async def open_upstream(
    upstream: Upstream, tls: ssl.SSLContext | None, factory: Callable[[], ProtocolT]
) -> ProtocolT:
    """
    Return a connected protocol of *factory*'s making. *tls* is what `upstream_tls` returned.

    Raises `OSError` where there is no connection, `UpstreamTlsError` where there is no TLS.
    """
    loop = asyncio.get_running_loop()
    if upstream.socket_path is not None:
        _, protocol = await loop.create_unix_connection(factory, upstream.socket_path)
        return protocol
    try:
        _, protocol = await loop.create_connection(
            factory,
            upstream.host,
            upstream.port,
            ssl=tls,
            server_hostname=upstream.host if tls is not None else None,
        )
    except ssl.SSLError as error:
        raise UpstreamTlsError(_advice(error, upstream)) from error
    return protocol


def why_not_connected(error: OSError | UnicodeError) -> str:
    """Return in words why `open_upstream` failed, and what to look at."""
    if isinstance(error, UpstreamTlsError):
        return str(error)
    if isinstance(error, OSError) and error.errno:
        return f"{os.strerror(error.errno)}. Is the app running?"
    return f"{str(error) or type(error).__name__}. Is the app running?"


def _advice(error: ssl.SSLError, upstream: Upstream) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        return (
            f"its certificate is not trusted ({error.verify_message}). For a development server "
            "of your own pass --upstream-insecure, or --upstream-ca FILE with its certificate"
        )
    if error.reason in {"WRONG_VERSION_NUMBER", "HTTP_REQUEST", "RECORD_LAYER_FAILURE"}:
        return f"it does not speak TLS: is it http://{upstream.host}:{upstream.port}?"
    return f"TLS with it failed: {error.reason or 'it closed the connection'}"
