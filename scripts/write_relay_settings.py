"""
Write docs/reference/relay-settings.md from the dataclasses it describes.

    .venv/bin/python scripts/write_relay_settings.py

A test holds the page against what this would write.
"""

import ast
import inspect
import re
import textwrap
from collections.abc import Iterator
from dataclasses import MISSING, Field, fields, is_dataclass
from pathlib import Path
from typing import Any, get_args, get_origin, get_type_hints

from typer.main import get_command

from hookloop.cli.app import app
from hookloop.cli.relay_options import DEFAULT_DOMAIN, DEFAULT_PORT
from hookloop.tunnel.relay import RelayConfig

PAGE = Path(__file__).parents[1] / "docs" / "reference" / "relay-settings.md"

HEAD = """# Settings of the relay

Every setting of `hookloop relay`, what it is unless you set it, and why. They come from a file,
`hookloop relay --config relay.toml`, whose keys are the names below; a setting that has an option
is overridden by it. An unknown key or a value that cannot work ends the command at once, with the
key's name. This page is made by `scripts/write_relay_settings.py` from the code.

```toml
domain = "tun.example.com"
host = "0.0.0.0"
tokens_file = "/etc/hookloop/tokens.json"
admin_host = "0.0.0.0"
admin_port = 9400
log_format = "json"

[limits]
sessions_max = 2000
```

Times are seconds. Paths in the file are meant from its folder.
"""
# Options whose name is not that of their setting.
OPTIONS = {
    "more_domains": "--domain",
    "tokens": "--token",
    "tokens_file": "--tokens",
    "trusted_proxies": "--trusted-proxy",
    "admin_host": "--admin",
    "admin_port": "--admin",
    "catch_folder": "--allow-catch",
    "tls.files.certificate": "--tls-cert",
    "tls.files.key": "--tls-key",
    "tls.directories": "--tls-dir",
    "tls.http_port": "--http-port",
    "tls.acme.names": "--acme-domain",
    "tls.acme.folder": "--acme-dir",
    "tls.acme.email": "--acme-email",
    "tls.acme.is_tos_agreed": "--acme-agree-tos",
    "tls.acme.directory_url": "--acme-directory",
    "tls.acme.dns_hook": "--acme-dns-hook",
    "tls.acme.ca_file": "--acme-ca-file",
    "tls.acme.dns_seconds": "--acme-dns-seconds",
    "raw.tcp_ports": "--tcp-ports",
}
# What the command takes where the class, made for programs, has another default.
OF_THE_COMMAND = {"domain": DEFAULT_DOMAIN, "port": DEFAULT_PORT}


def render() -> str:
    """Return the page."""
    return HEAD + "".join(_sections(RelayConfig, "", "The relay"))


def _sections(kind: type, prefix: str, title: str) -> Iterator[str]:
    texts, hints = _texts(kind), get_type_hints(kind)
    rows, tables = [], []
    for known in fields(kind):
        inner = _dataclass_in(hints[known.name])
        if inner is not None:
            is_list = get_origin(hints[known.name]) is tuple
            tables.append((inner, f"{prefix}{known.name}", is_list, texts[known.name]))
            continue
        option = _option(prefix + known.name)
        rows.append(f"| `{known.name}` | {_default(known)} | {option} | {texts[known.name]} |\n")
    yield f"\n## {title}\n\n"
    yield "| setting | default | option | what, and why |\n|---|---|---|---|\n"
    yield from rows
    for inner, path, is_list, text in tables:
        table = f"`[[{path}]]`" if is_list else f"`[{path}]`"
        yield from _sections(inner, f"{path}.", f"{table}: {text.rstrip('.')}")


def _texts(kind: type) -> dict[str, str]:
    """Return the docstring of each field."""
    body = ast.parse(textwrap.dedent(inspect.getsource(kind))).body[0].body
    found, name = {}, ""
    for node in body:
        if isinstance(node, ast.AnnAssign):
            name = node.target.id
            found[name] = ""
        elif isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and name:
            text = re.sub(r"\s+", " ", str(node.value.value)).strip()
            found[name] = text.replace("``", "`").replace("|", "\\|")
            name = ""
    return found


def _dataclass_in(hint: Any) -> type | None:
    candidates = [hint, *get_args(hint)]
    return next(
        (kind for kind in candidates if isinstance(kind, type) and is_dataclass(kind)), None
    )


def _default(known: Field) -> str:
    value = OF_THE_COMMAND.get(known.name, known.default)
    if known.default_factory is not MISSING:
        return f"`{known.default_factory()!r}`"
    if value is MISSING:
        return "must be given"
    if value is None or value == ():
        return "none"
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    if isinstance(value, str):
        return f'`"{value}"`'
    return f"`{value:_}`" if isinstance(value, int) and value >= 10_000 else f"`{value:g}`"


def _option(name: str) -> str:
    known = {option for param in get_command(app).commands["relay"].params for option in param.opts}
    option = OPTIONS.get(name, "--" + name.replace("_", "-"))
    return f"`{option}`" if option in known else ""


if __name__ == "__main__":
    PAGE.write_text(render())
    print(f"wrote {PAGE}")
