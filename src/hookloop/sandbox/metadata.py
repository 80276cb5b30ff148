"""
Metadata: up to 50 texts of the caller's own on any object.

An update merges: keys not named stay, an empty value removes its key, and an
empty string in place of the whole removes all. See https://docs.stripe.com/api/metadata.
"""

from collections.abc import Mapping

from .errors import ApiError, invalid_parameter
from .params import Value

__all__ = [
    "KEYS_MAX",
    "KEY_CHARS_MAX",
    "VALUE_CHARS_MAX",
    "Metadata",
    "merged_metadata",
    "read_metadata",
]

Metadata = Mapping[str, str]

KEYS_MAX = 50  # These three are Stripe's own.
KEY_CHARS_MAX = 40
VALUE_CHARS_MAX = 500


def read_metadata(value: Value, param: str) -> dict[str, str] | None:
    """Return the changes *value* asks for, or None to remove all keys. Raises `ApiError`."""
    if value == "":
        return None
    if not isinstance(value, dict):
        raise invalid_parameter("Invalid object", param)
    return {key: _entry(key, text, f"{param}[{key}]") for key, text in value.items()}


def merged_metadata(old: Metadata, changes: Metadata | None) -> dict[str, str]:
    """Return *old* with *changes* made. Raises `ApiError` where that is too many keys."""
    if changes is None:
        return {}
    merged = {key: value for key, value in {**old, **changes}.items() if value != ""}
    if len(merged) > KEYS_MAX:
        raise ApiError(
            400,
            f"You can only specify up to {KEYS_MAX} metadata keys; this object would have "
            f"{len(merged)}.",
            param="metadata",
        )
    return merged


def _entry(key: str, value: Value, param: str) -> str:
    if not isinstance(value, str):
        raise invalid_parameter(
            f"Metadata values must be strings, but for key '{key[:KEY_CHARS_MAX]}' you passed in "
            "a value of another type.",
            "metadata",
        )
    if not key or len(key) > KEY_CHARS_MAX:
        raise invalid_parameter(
            f"Metadata keys must be 1 to {KEY_CHARS_MAX} characters long.", "metadata"
        )
    if len(value) > VALUE_CHARS_MAX:
        raise invalid_parameter(
            f"Metadata values can have up to {VALUE_CHARS_MAX} characters, but you passed in a "
            f"value that is {len(value)} characters.",
            param,
        )
    return value
