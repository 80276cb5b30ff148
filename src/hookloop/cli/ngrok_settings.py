"""What `hookloop ngrok` reads of an ngrok.yml beside its tunnels, and writes into it."""

import os
import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hookloop.errors import ConfigError

__all__ = ["NgrokSettings", "default_config_path", "read_settings", "save_authtoken"]

_KEY_LINE = re.compile(r"^(?P<indent>\s*)authtoken\s*:", re.ASCII)
_AGENT_LINE = re.compile(r"^agent\s*:\s*(#.*)?$", re.ASCII)
_PLAIN_TOKEN = re.compile(r"[A-Za-z0-9_.~+/=-]{1,512}", re.ASCII)


@dataclass(frozen=True, slots=True)
class NgrokSettings:
    """Those of the agent as a whole that mean the same here."""

    authtoken: str | None = field(default=None, repr=False)
    web_addr: str | None = None
    """``host:port``; None for the usual one, and empty for no web interface."""
    log: str | None = None
    log_format: str | None = None
    log_level: str | None = None


def default_config_path(environment: Mapping[str, str], home: Path) -> Path:
    """Return where ngrok's own agent keeps its file."""
    if named := environment.get("NGROK_CONFIG"):
        return Path(named)
    if sys.platform == "darwin":
        return home / "Library" / "Application Support" / "ngrok" / "ngrok.yml"
    if sys.platform == "win32":
        return Path(environment.get("LOCALAPPDATA") or home) / "ngrok" / "ngrok.yml"
    return Path(environment.get("XDG_CONFIG_HOME") or home / ".config") / "ngrok" / "ngrok.yml"


def read_settings(document: Any) -> NgrokSettings:
    """Return the settings of a file of version 2 or 3, as YAML gave it."""
    document = document if isinstance(document, dict) else {}
    agent = document.get("agent")
    values = {**document, **(agent if isinstance(agent, dict) else {})}

    def text(key: str) -> str | None:
        value = values.get(key)
        return None if value is None else str(value)

    web_addr = values.get("web_addr")
    return NgrokSettings(
        authtoken=text("authtoken"),
        web_addr="" if web_addr is False else text("web_addr"),
        log="false" if values.get("log") is False else text("log"),
        log_format=text("log_format"),
        log_level=text("log_level"),
    )


def save_authtoken(path: Path, token: str) -> None:
    """
    Write *token* into the file at *path*, which is made where there is none; all else stays.

    Raises `ConfigError` for what is no token, and where the file cannot be written.
    """
    if not _PLAIN_TOKEN.fullmatch(token):
        raise ConfigError("the token has characters no token has: copy it again")
    try:
        text = path.read_text(encoding="utf-8") if path.exists() else 'version: "2"\n'
        path.parent.mkdir(parents=True, exist_ok=True)
        # It holds a secret: for its owner's eyes from the first byte on.
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
            stream.truncate()
            stream.write(_with_token(text, token))
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"cannot write {path}: {error}") from None


def _with_token(text: str, token: str) -> str:
    """Put the token where it stands, or where the file's version wants it."""
    lines = text.splitlines()
    for number, line in enumerate(lines):
        if match := _KEY_LINE.match(line):
            lines[number] = f"{match['indent']}authtoken: {token}"
            break
    else:
        is_third = any(re.match(r"version\s*:\s*[\"']?3", line) for line in lines)
        agent = next((n for n, line in enumerate(lines) if _AGENT_LINE.match(line)), None)
        if not is_third:
            lines.append(f"authtoken: {token}")
        elif agent is None:
            lines += ["agent:", f"  authtoken: {token}"]
        else:
            inner = next((line for line in lines[agent + 1 :] if line.strip()), "")
            indent = inner[: len(inner) - len(inner.lstrip())] or "  "
            lines.insert(agent + 1, f"{indent}authtoken: {token}")
    return "\n".join(lines) + "\n"
