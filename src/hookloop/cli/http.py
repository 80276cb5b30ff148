"""`hookloop http`: a public URL for a local service."""

from .catch_options import (
    CatchDirOption,
    CatchOption,
    CatchPathOption,
    CatchStatusOption,
)
from .console_log import LogFormat, LogLevel
from .console_options import (
    ConsoleOptions,
    JsonOption,
    LogFormatOption,
    LogLevelOption,
    LogOption,
    QrOption,
)
from .forwarding import forward
from .inspect_options import (
    MAX_AGE_SECONDS,
    MAX_BYTES,
    CaptureMaxAge,
    CaptureMaxBytes,
    CaptureOption,
    InspectOption,
    InspectOptions,
    RedactOption,
)
from .runner import reporting_errors, run
from .session_options import RelayOption, SessionOptions, TokenOption, ViaOption
from .trust_options import CaFile, SkipVerify, trust_of
from .tunnel_options import (
    AllowCidr,
    BasicAuth,
    DenyCidr,
    HostHeader,
    NameOption,
    Origin,
    RequestHeaderAdd,
    RequestHeaderRemove,
    ResponseHeaderAdd,
    ResponseHeaderRemove,
    ResponseSeconds,
    Secret,
    UpstreamArgument,
    UpstreamCa,
    UpstreamInsecure,
    VerifyWebhook,
)
from .webhook_guard import webhook_guard

__all__ = ["http"]


def http(
    upstream: UpstreamArgument,
    relay: RelayOption = None,
    token: TokenOption = "",
    name: NameOption = None,
    host_header: HostHeader = "rewrite",
    origin: Origin = None,
    basic_auth: BasicAuth = None,
    allow_cidr: AllowCidr = None,
    deny_cidr: DenyCidr = None,
    request_header_add: RequestHeaderAdd = None,
    request_header_remove: RequestHeaderRemove = None,
    response_header_add: ResponseHeaderAdd = None,
    response_header_remove: ResponseHeaderRemove = None,
    verify_webhook: VerifyWebhook = None,
    secret: Secret = None,
    upstream_insecure: UpstreamInsecure = False,
    upstream_ca: UpstreamCa = None,
    response_seconds: ResponseSeconds = 300.0,
    catch: CatchOption = False,
    catch_path: CatchPathOption = None,
    catch_status: CatchStatusOption = 202,
    catch_dir: CatchDirOption = None,
    via: ViaOption = None,
    ca_file: CaFile = None,
    insecure_skip_verify: SkipVerify = False,
    inspect: InspectOption = None,
    capture: CaptureOption = None,
    capture_max_bytes: CaptureMaxBytes = MAX_BYTES,
    capture_max_age: CaptureMaxAge = MAX_AGE_SECONDS,
    redact: RedactOption = None,
    qr: QrOption = False,
    log: LogOption = None,
    log_format: LogFormatOption = None,
    log_level: LogLevelOption = LogLevel.INFO,
    json: JsonOption = False,
) -> None:
    """Give a local service a public URL, and show each request that comes in."""
    from hookloop.tunnel.agent.options import TunnelOptions

    with reporting_errors():
        trust = trust_of(ca_file, is_skipped=insecure_skip_verify)
        # A secret of the environment is for whichever command verifies.
        guard = webhook_guard(verify_webhook, secret or ()) if verify_webhook else None
        tunnel = TunnelOptions(
            upstream=upstream,
            name=name,
            host_header=host_header,
            origin=origin,
            basic_auth=tuple(basic_auth or ()),
            allow_cidr=tuple(allow_cidr or ()),
            deny_cidr=tuple(deny_cidr or ()),
            request_header_add=tuple(request_header_add or ()),
            request_header_remove=tuple(request_header_remove or ()),
            response_header_add=tuple(response_header_add or ()),
            response_header_remove=tuple(response_header_remove or ()),
            upstream_insecure=upstream_insecure,
            upstream_ca=upstream_ca,
            response_seconds=response_seconds,
            guard=guard,
            catch=catch,
            catch_path=tuple(catch_path or ()),
            catch_status=catch_status,
            catch_dir=catch_dir,
        )
    shown = ConsoleOptions(log, LogFormat.JSON if json else log_format, log_level, qr)
    inspected = InspectOptions(inspect, capture, capture_max_bytes, capture_max_age, redact, secret)
    session = SessionOptions(relay, token, via, trust)
    run(forward([tunnel], session, shown, inspected=inspected))
