"""
ngrok.yml, versions 2 and 3: read as far as a hookloop relay can do what it asks for.

A key that would let in what it was written to keep out is an error where we cannot do
it; one that only tunes or decorates is a warning. Nothing is passed over in silence.
"""

import re
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hookloop.errors import ConfigError

from .project_file import Problems, Project, tunnel_options

if TYPE_CHECKING:
    from collections.abc import Mapping

    from hookloop.tunnel.agent.options import TunnelOptions

__all__ = ["read_definition", "read_ngrok_yml"]

# Of the agent as a whole. What stands here is known and not used.
_UNUSED = {
    "authtoken": "a hookloop relay has tokens of its own: set HOOKLOOP_TOKEN",
    "api_key": "there is no such service here",
    "region": "you chose the relay by its address",
    "connect_timeout": "the relay has 10 s",
    "console_ui": "see the options of `hookloop start`",
    "console_ui_color": "NO_COLOR turns colours off",
    "dns_resolver_ips": "names are looked up as the machine does",
    "heartbeat_interval": "the relay is asked after 10 s of silence",
    "heartbeat_tolerance": "the relay has 15 s to answer",
    "inspect_db_size": "see the options of `hookloop start`",
    "log": "logs go to where the output goes",
    "log_level": "see the options of `hookloop start`",
    "log_format": "see the options of `hookloop start`",
    "metadata": "a relay keeps none",
    "remote_management": "nobody manages an agent from afar",
    "update_channel": "pip updates hookloop",
    "update_check": "pip updates hookloop",
    "version_check": "pip updates hookloop",
    "web_addr": "see the options of `hookloop start`",
    "web_allow_hosts": "see the options of `hookloop start`",
    "crl_noverify": "certificates are checked as Python does",
    "connect_interface": "the machine's routes decide",
}
_IMPOSSIBLE = {
    "proxy_url": "the relay is reached without a proxy",
    "server_addr": "that server speaks ngrok's protocol: set HOOKLOOP_RELAY to a hookloop relay",
    "connect_url": "that server speaks ngrok's protocol: set HOOKLOOP_RELAY to a hookloop relay",
    "root_cas": "the relay's certificate is checked against the machine's own authorities",
    "connect_cas": "the relay's certificate is checked against the machine's own authorities",
}
_TOP = {"version", "tunnels", "agent", "endpoints"}

# Of one tunnel.
_READ = {
    *("addr", "proto", "subdomain", "hostname", "domain", "host_header", "basic_auth", "auth"),
    *("ip_restriction", "request_header", "response_header", "verify_webhook"),
    *("remote_addr", "proxy_proto"),
}
_TUNNEL_UNUSED = {
    "inspect": "what is inspected is a setting of the agent",
    "metadata": "a relay keeps none",
    "description": "it stands in the file",
    "schemes": "the relay decides where it listens",
    "bind_tls": "the relay decides where it listens",
    "compression": "answers go out as the app wrote them",
    "circuit_breaker": "every request goes to the app",
    "pooling_enabled": "a name leads to one agent",
    "bindings": "every tunnel is public",
}
_TUNNEL_IMPOSSIBLE = {
    "oauth": "use basic_auth",
    "oidc": "use basic_auth",
    "saml": "use basic_auth",
    "mutual_tls_cas": "use `proto: tls` and let the app check certificates",
    "user_agent_filter": "let the app refuse them",
    "policy": "there is no policy engine",
    "traffic_policy": "there is no policy engine",
    "traffic_policy_file": "there is no policy engine",
    "websocket_tcp_converter": "a WebSocket is passed on as it is",
    "crt": "use `proto: tls` and let the app end TLS",
    "key": "use `proto: tls` and let the app end TLS",
    "terminate_at": "use `proto: tls` and let the app end TLS",
    "agent_tls_termination": "use `proto: tls` and let the app end TLS",
}
_NGROK_DOMAINS = (
    *("ngrok.app", "ngrok.dev", "ngrok.io", "ngrok.pizza", "ngrok-free.app", "ngrok-free.dev"),
)
_ENDPOINT_READ = {"name", "url", "upstream"}


def read_ngrok_yml(path: Path, text: str) -> Project:
    """Return the tunnels of *text*; *path* is for its errors. Raises `ConfigError`."""
    import yaml

    try:
        document = yaml.safe_load(text)
        root = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.YAMLError as error:
        raise ConfigError(f"{path} is not YAML: {' '.join(str(error).split())}") from None
    except RecursionError:
        raise ConfigError(f"{path} is nested too deeply") from None
    problems = Problems(path, lambda where: _line(root, where))
    if not isinstance(document, dict):
        raise ConfigError(f"{path} holds no settings: it should begin with `version:`")
    version = str(document.get("version", ""))
    if version not in {"2", "3"}:
        problems.error(("version",), f"version {version or 'none'} is not 2 or 3")
    tunnels = []
    for label, values in _tunnels(document, problems):
        where, told = values
        options = tunnel_options(label, told, where, problems)
        tunnels += [options] if options is not None else []
    problems.raise_if_any()
    return Project(path, None, None, tuple(tunnels), tuple(problems.warnings))


def read_definition(
    definition: "Mapping[str, Any]", *, is_endpoint: bool, warn: Callable[[str], None]
) -> "TunnelOptions":
    """
    Return the tunnel of one definition, of version 2, or of version 3 where it *is_endpoint*.

    *warn* is told what is not done where it does no harm. Raises `ConfigError`.
    """
    name = str(definition.get("name") or "")
    table = {key: value for key, value in definition.items() if key != "name"}
    problems = Problems(Path(name or "tunnel"), lambda _where: None)
    known = _ENDPOINT_READ if is_endpoint else _READ
    _look_over(table, (), problems, known, _TUNNEL_UNUSED, _TUNNEL_IMPOSSIBLE)
    values = (_endpoint if is_endpoint else _tunnel)(table, (), problems)
    options = None
    if "upstream" in values:
        options = tunnel_options(name, values, (), problems)
    problems.raise_if_any()
    for warning in problems.warnings:
        warn(warning)
    if options is None:
        raise ConfigError("the tunnel has no address to lead to")
    return options


_Told = tuple[str, tuple[tuple[str, ...], dict[str, Any]]]


def _tunnels(document: dict[str, Any], problems: Problems) -> list[_Told]:
    """Return each tunnel's label, where it stands and its values in our words."""
    _look_over(document, (), problems, _TOP, _UNUSED, _IMPOSSIBLE)
    agent = _table(document, "agent", (), problems)
    _look_over(agent, ("agent",), problems, set(), _UNUSED, _IMPOSSIBLE)
    found: list[_Told] = []
    for label, tunnel in _table(document, "tunnels", (), problems).items():
        where = ("tunnels", str(label))
        if isinstance(tunnel, dict):
            _look_over(tunnel, where, problems, _READ, _TUNNEL_UNUSED, _TUNNEL_IMPOSSIBLE)
            found.append((str(label), (where, _tunnel(tunnel, where, problems))))
        else:
            problems.error(where, "a tunnel is a table of keys")
    endpoints = document.get("endpoints")
    endpoints = [] if endpoints is None else endpoints
    if not isinstance(endpoints, list):
        problems.error(("endpoints",), "this is not a list")
        return found
    for number, endpoint in enumerate(endpoints):
        where = ("endpoints", str(number))
        if isinstance(endpoint, dict):
            label = str(endpoint.get("name") or f"endpoint-{number + 1}")
            known = _ENDPOINT_READ
            _look_over(endpoint, where, problems, known, _TUNNEL_UNUSED, _TUNNEL_IMPOSSIBLE)
            found.append((label, (where, _endpoint(endpoint, where, problems))))
        else:
            problems.error(where, "an endpoint is a table of keys")
    return [each for each in found if "upstream" in each[1][1]]


def _tunnel(tunnel: dict[str, Any], where: tuple[str, ...], problems: Problems) -> dict[str, Any]:
    """Return a tunnel of version 2 in our words."""
    values: dict[str, Any] = {}
    if tunnel.get("addr") in {None, ""}:
        problems.error(where, "the tunnel has no addr: add the port of your app")
    else:
        values["upstream"] = str(tunnel["addr"])
    values["protocol"] = str(tunnel.get("proto", "http"))
    values["host_header"] = str(tunnel.get("host_header", "preserve"))  # as ngrok does without it
    values["upstream_insecure"] = True  # as ngrok: it does not look at an upstream's certificate
    values["basic_auth"] = (
        *_texts(tunnel, "basic_auth", where, problems),
        *_texts(tunnel, "auth", where, problems),
    )
    for key in ("subdomain", "hostname", "domain"):
        if tunnel.get(key):
            values["name"] = _name(str(tunnel[key]), (*where, key), problems)
    limits = _table(tunnel, "ip_restriction", where, problems)
    inner = (*where, "ip_restriction")
    _look_over(limits, inner, problems, {"allow_cidrs", "deny_cidrs"}, {}, {})
    values["allow_cidr"] = _texts(limits, "allow_cidrs", inner, problems)
    values["deny_cidr"] = _texts(limits, "deny_cidrs", inner, problems)
    for key in ("request_header", "response_header"):
        fields, inner = _table(tunnel, key, where, problems), (*where, key)
        _look_over(fields, inner, problems, {"add", "remove"}, {}, {})
        values[f"{key}_add"] = _texts(fields, "add", inner, problems)
        values[f"{key}_remove"] = _texts(fields, "remove", inner, problems)
    values |= _raw(tunnel.get("remote_addr"), tunnel.get("proxy_proto"), where, problems)
    if verify := _table(tunnel, "verify_webhook", where, problems):
        inner = (*where, "verify_webhook")
        _look_over(verify, inner, problems, {"provider", "secret"}, {}, {})
        values["verify_webhook"] = str(verify.get("provider", ""))
        values["secret"] = _texts(verify, "secret", inner, problems)
    return values


def _endpoint(
    endpoint: dict[str, Any], where: tuple[str, ...], problems: Problems
) -> dict[str, Any]:
    """Return an endpoint of version 3 in our words."""
    values: dict[str, Any] = {"host_header": "preserve", "upstream_insecure": True}
    upstream, inner = _table(endpoint, "upstream", where, problems), (*where, "upstream")
    _look_over(upstream, inner, problems, {"url", "protocol", "proxy_protocol"}, {}, {})
    values |= _raw(None, upstream.get("proxy_protocol"), inner, problems)
    if str(upstream.get("protocol", "http1")) != "http1":
        problems.error((*inner, "protocol"), "the upstream is spoken to in HTTP/1.1: use http1")
    if upstream.get("url") in {None, ""}:
        problems.error(inner, "the endpoint has no upstream.url: add the port of your app")
    else:
        values["upstream"] = re.sub(r"^(tcp|tls)://", "", str(upstream["url"]))
    if url := str(endpoint.get("url") or ""):
        scheme, separator, host = url.partition("://")
        values["protocol"] = {"https": "http"}.get(scheme, scheme) if separator else "http"
        if host := (host if separator else url).partition(":")[0].strip("/"):
            values["name"] = _name(host, (*where, "url"), problems)
    return values


def _raw(
    remote_addr: object, proxy: object, where: tuple[str, ...], problems: Problems
) -> dict[str, Any]:
    """Return what is about tunnels of bytes: the public port, and the PROXY header."""
    values: dict[str, Any] = {}
    if remote_addr is not None:
        host, _, port = str(remote_addr).rpartition(":")
        if _is_of_ngrok(host):
            here = (*where, "remote_addr")
            problems.warn(here, f"{remote_addr} is ngrok's to give: the relay chooses the port")
        elif port.isdecimal() and port.isascii() and len(port) <= 5:
            values["remote_port"] = int(port)
        else:
            problems.error((*where, "remote_addr"), "this has no port at its end")
    if proxy not in {None, "", 0, "0"}:
        values["proxy_protocol"] = f"v{str(proxy).removeprefix('v')}"
    return values


def _is_of_ngrok(host: str) -> bool:
    return any(host.endswith(f".{domain}") for domain in _NGROK_DOMAINS)


def _name(host: str, where: tuple[str, ...], problems: Problems) -> str:
    """Return the name to ask for: a label, or a domain of one's own in full."""
    label = host.partition(".")[0]
    if not _is_of_ngrok(host):
        return host
    problems.warn(where, f"{host} is ngrok's to give: the tunnel is named {label!r} here")
    return label


def _look_over(
    table: dict[str, Any],
    where: tuple[str, ...],
    problems: Problems,
    known: set[str],
    unused: dict[str, str],
    impossible: dict[str, str],
) -> None:
    """Tell *problems* of every key of *table* that is not simply read."""
    for key, value in table.items():
        here = (*where, str(key))
        if key in unused:
            problems.warn(here, f"not used: {unused[key]}")
        elif key in impossible and value not in (None, False, "", 0):
            problems.error(here, f"this cannot be done here: {impossible[key]}")
        elif key not in known and key not in impossible:
            problems.unknown(here, sorted(known | set(unused)))


def _table(
    table: dict[str, Any], key: str, where: tuple[str, ...], problems: Problems
) -> dict[str, Any]:
    value = table.get(key)
    if value is None:
        return {}
    if not isinstance(value, dict):
        problems.error((*where, key), "this is not a table of keys")
        return {}
    return value


def _texts(
    table: dict[str, Any], key: str, where: tuple[str, ...], problems: Problems
) -> tuple[str, ...]:
    value = table.get(key)
    if value is None:
        return ()
    if isinstance(value, str):
        return (value,)
    if isinstance(value, list) and all(isinstance(item, str) for item in value):
        return tuple(value)
    problems.error((*where, key), "this is not a text, or a list of texts")
    return ()


def _line(root: Any, where: tuple[str, ...]) -> int | None:
    """Return the line of the key *where*, or of the nearest one around it."""
    import yaml

    node, line = root, None
    for word in where:
        if isinstance(node, yaml.MappingNode):
            pairs = [pair for pair in node.value if pair[0].value == word]
            if not pairs:
                break
            line, node = pairs[0][0].start_mark.line + 1, pairs[0][1]
        elif isinstance(node, yaml.SequenceNode) and word.isdecimal():
            node = node.value[int(word)]
            line = node.start_mark.line + 1
        else:
            break
    return line
