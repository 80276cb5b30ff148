"""`hookloop tcp`: a public port for a local service of any protocol."""

from typing import Annotated

import typer

from .console_log import LogFormat, LogLevel
from .console_options import ConsoleOptions, JsonOption, LogFormatOption, LogLevelOption, LogOption
from .forwarding import forward
from .raw_options import IdleSecondsOption, ProxyHeaderOption, RawUpstreamArgument
from .runner import reporting_errors, run
from .session_options import RelayOption, SessionOptions, TokenOption, ViaOption
from .trust_options import CaFile, SkipVerify, trust_of

__all__ = ["tcp"]


def tcp(
    upstream: RawUpstreamArgument,
    remote_port: Annotated[
        int, typer.Option(help="The public port, of the relay's range; 0 for any.")
    ] = 0,
    proxy_protocol: ProxyHeaderOption = None,
    idle_seconds: IdleSecondsOption = 0.0,
    relay: RelayOption = None,
    token: TokenOption = "",
    via: ViaOption = None,
    ca_file: CaFile = None,
    insecure_skip_verify: SkipVerify = False,
    log: LogOption = None,
    log_format: LogFormatOption = None,
    log_level: LogLevelOption = LogLevel.INFO,
    json: JsonOption = False,
) -> None:
    """Give a local service of any protocol a public port: a database, SSH, MQTT."""
    from hookloop.tunnel.agent.options import TunnelOptions

    with reporting_errors():
        trust = trust_of(ca_file, is_skipped=insecure_skip_verify)
        options = TunnelOptions(
            upstream=upstream,
            protocol="tcp",
            remote_port=remote_port,
            proxy_protocol=proxy_protocol,
            idle_seconds=idle_seconds,
        )
    shown = ConsoleOptions(log, LogFormat.JSON if json else log_format, log_level, qr=False)
    run(forward([options], SessionOptions(relay, token, via, trust), shown))
