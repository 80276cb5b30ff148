"""What ngrok's local API answers where it cannot do what was asked: codes and bodies. Pure."""

from collections.abc import Sequence
from typing import Any

__all__ = [
    "ApiError",
    "bad_definition",
    "internal",
    "method_not_allowed",
    "not_ready",
    "path_not_found",
    "relay_refused",
    "request_not_found",
    "tunnel_not_found",
    "unreadable",
    "unsupported_type",
]

READ_TYPES = ("application/json",)


class ApiError(Exception):
    """An answer that is no success, as ngrok's agent gives it."""

    def __init__(
        self, status: int, message: str, details: dict[str, Any], *, code: int | None = None
    ) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.details = details
        self.code = code
        """ngrok's number for it; errors of the HTTP framework have none."""

    def body(self) -> dict[str, Any]:
        numbered = {} if self.code is None else {"error_code": self.code}
        return {
            **numbered,
            "status_code": self.status,
            "msg": self.message,
            "details": self.details,
        }


def path_not_found(path: str) -> ApiError:
    return ApiError(404, "Not Found", {"path": path})


def method_not_allowed(method: str, allowed: Sequence[str]) -> ApiError:
    return ApiError(405, "Method Not Allowed", {"allowed": ", ".join(allowed), "method": method})


def unsupported_type(content_type: str) -> ApiError:
    """A form is refused: any page may post one, and none may post JSON to another's server."""
    return ApiError(
        415,
        "unsupported request Content-Type",
        {"available": list(READ_TYPES), "content-type": content_type},
    )


def unreadable(why: str) -> ApiError:
    return ApiError(400, "failed to deserialize request parameter", {"err": why})


def tunnel_not_found(name: str) -> ApiError:
    return ApiError(404, "tunnel not found", {"name": name}, code=100)


def bad_definition(why: str) -> ApiError:
    return ApiError(400, "invalid tunnel configuration", {"err": why}, code=102)


def relay_refused(why: str) -> ApiError:
    return ApiError(502, "failed to start tunnel", {"err": why}, code=103)


def not_ready() -> ApiError:
    return ApiError(
        503,
        "ngrok is not yet ready to start tunnels",
        {"err": "a successful ngrok tunnel session has not yet been established"},
        code=104,
    )


def request_not_found(id_: str) -> ApiError:
    return ApiError(404, "request entry not found", {"id": id_}, code=106)


def internal(why: str) -> ApiError:
    return ApiError(500, "internal error", {"err": why}, code=107)
