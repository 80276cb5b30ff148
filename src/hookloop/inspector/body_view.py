"""A body as a page shows it: the kind it is of, and text that stands for it. Pure."""

from dataclasses import dataclass
from email.parser import BytesParser
from email.policy import HTTP
from urllib.parse import parse_qsl

from hookloop.exchange import Headers

from .body_text import content_type, decoded, text_of
from .captured import CapturedBody
from .wording import bytes_text, hex_dump, pretty_json

__all__ = ["IMAGES", "BodyView", "body_view"]

IMAGES = frozenset({"image/png", "image/jpeg", "image/gif", "image/webp", "image/avif"})
"""What a browser draws without running anything: an SVG may hold script, and is text."""
SHOWN_CHARS_MAX = 512 * 1024  # more makes a browser slow; the whole can be downloaded
FIELDS_MAX = 500


@dataclass(frozen=True, slots=True)
class BodyView:
    """What there is to show."""

    kind: str
    """``json``, ``form``, ``multipart``, ``text``, ``image``, ``hex`` or ``empty``."""
    text: str = ""
    """Pretty where that is possible, else as it came."""
    fields: tuple[tuple[str, str], ...] = ()
    """Of a form."""
    raw: str = ""
    """As it came, or the dump of its bytes."""
    size: str = ""
    media_type: str = ""
    is_cut: bool = False
    """There was more, which was not kept or is not shown."""


def body_view(headers: Headers, body: CapturedBody) -> BodyView:
    media, size = content_type(headers), bytes_text(body.length)
    if not body.data:
        return BodyView("empty", size=size, media_type=media, is_cut=body.length > 0)
    data = decoded(headers, body.data)
    text = text_of(headers, body.data)
    raw = (hex_dump(data) if text is None else text)[:SHOWN_CHARS_MAX]
    is_cut = not body.is_whole or (text is not None and len(text) > SHOWN_CHARS_MAX)

    def view(kind: str, shown: str = "", fields: tuple[tuple[str, str], ...] = ()) -> BodyView:
        return BodyView(kind, shown[:SHOWN_CHARS_MAX], fields, raw, size, media, is_cut)

    if media in IMAGES:
        return view("image")
    if media == "application/x-www-form-urlencoded" and text is not None:
        return view("form", fields=_form(text))
    if media.startswith("multipart/") and (parts := _parts(headers, data)):
        return view("multipart", fields=parts)
    if text is None:
        return view("hex", raw)
    pretty = pretty_json(text) if "json" in media or text.lstrip()[:1] in {"{", "["} else None
    return view("text", text) if pretty is None else view("json", pretty)


def _form(text: str) -> tuple[tuple[str, str], ...]:
    try:
        pairs = parse_qsl(text, keep_blank_values=True, max_num_fields=FIELDS_MAX)
    except ValueError:
        return (("", text),)
    return tuple(pairs)


def _parts(headers: Headers, data: bytes) -> tuple[tuple[str, str], ...]:
    value = next(value for name, value in headers if name.lower() == b"content-type")
    message = BytesParser(policy=HTTP).parsebytes(b"Content-Type: " + value + b"\r\n\r\n" + data)
    if not message.is_multipart():
        return ()
    found = []
    for part in list(message.iter_parts())[:FIELDS_MAX]:
        payload = part.get_payload(decode=True)
        content = payload if isinstance(payload, bytes) else b""
        name = str(part.get_param("name", "", header="content-disposition") or "")
        kind = part.get_content_type()
        file = part.get_filename()
        label = f"{name} ({file}, {kind})" if file else name
        as_text = text_of(((b"content-type", kind.encode()),), content)
        found.append((label, hex_dump(content) if as_text is None else as_text))
    return tuple(found)
