"""Numbers, times and commands as people read them. Pure."""

import json
import shlex
from datetime import UTC, datetime

from .captured import Captured

__all__ = [
    "as_curl",
    "bytes_text",
    "clock_text",
    "date_text",
    "hex_dump",
    "pretty_json",
    "seconds_text",
]

HEX_BYTES_MAX = 16 * 1024  # of a dump: a thousand lines
CURL_BYTES_MAX = 64 * 1024  # what a shell takes as an argument
_OUR_FIELDS = {b"host", b"content-length", b"connection", b"transfer-encoding"}


def seconds_text(seconds: float | None) -> str:
    if seconds is None:
        return ""
    if seconds < 0.0995:
        return f"{seconds * 1000:.1f} ms"
    return f"{seconds * 1000:.0f} ms" if seconds < 0.9995 else f"{seconds:.2f} s"


def bytes_text(count: int) -> str:
    if count < 1024:
        return f"{count} B"
    return f"{count / 1024:.1f} KB" if count < 1024 * 1024 else f"{count / 1024 / 1024:.1f} MB"


def clock_text(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%H:%M:%S.") + f"{int(at * 1000) % 1000:03d}"


def date_text(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%S.") + (
        f"{int(at * 1000) % 1000:03d}Z"
    )


def hex_dump(data: bytes) -> str:
    """Return offset, bytes and characters, sixteen a line."""
    lines = []
    for at in range(0, min(len(data), HEX_BYTES_MAX), 16):
        piece = data[at : at + 16]
        left, right = piece[:8].hex(" "), piece[8:].hex(" ")
        shown = "".join(chr(byte) if 32 <= byte < 127 else "." for byte in piece)
        lines.append(f"{at:08x}  {left:<23}  {right:<23}  {shown}")
    if len(data) > HEX_BYTES_MAX:
        lines.append(f"... {len(data) - HEX_BYTES_MAX} bytes more")
    return "\n".join(lines)


def as_curl(captured: Captured, base: str) -> str:
    """Return the command that sends the request again to *base*, quoted for a shell."""
    head = captured.request
    method, target = head.method.decode("latin-1"), head.target.decode("latin-1")
    parts = ["curl", "-X", shlex.quote(method), shlex.quote(base.rstrip("/") + target)]
    for name, value in head.headers:
        if name.lower() not in _OUR_FIELDS:
            text = f"{name.decode('latin-1')}: {value.decode('latin-1')}"
            parts += ["\\\n  -H", shlex.quote(text)]
    body = captured.request_body.data[:CURL_BYTES_MAX]
    if body:
        parts += ["\\\n  --data-binary", _shell_bytes(body)]
    return " ".join(parts)


def _shell_bytes(data: bytes) -> str:
    try:
        text = data.decode()
    except UnicodeDecodeError:
        text = None
    if text is not None and "\0" not in text:
        return shlex.quote(text)
    return "$'" + "".join(f"\\x{byte:02x}" for byte in data) + "'"


def pretty_json(text: str) -> str | None:
    """Return JSON with two spaces a level, its keys in their order; None for what is none."""
    try:
        return json.dumps(json.loads(text), indent=2, ensure_ascii=False)
    except (ValueError, RecursionError):
        return None
