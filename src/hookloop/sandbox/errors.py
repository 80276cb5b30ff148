"""
Stripe's error answers as values: a status, a type, a code, a sentence.

An operation raises `ApiError`; the server turns it into the JSON body that
Stripe's clients make their exceptions of. See https://docs.stripe.com/api/errors.
"""

from collections.abc import Mapping
from typing import Any

from .instruments import Decline

__all__ = [
    "ApiError",
    "bad_reference",
    "card_error",
    "exclusive_parameters",
    "invalid_parameter",
    "missing_parameter",
    "no_such_object",
    "not_simulated",
    "unexpected_state",
    "unknown_parameters",
    "unset_refused",
    "url_not_recognized",
]

LABELS = {"webhook_endpoint": "webhook endpoint"}  # How messages name an object, where it differs.


class ApiError(Exception):
    """What the client is told instead of a result; it carries no secret and no traceback."""

    def __init__(
        self,
        status: int,
        message: str,
        *,
        kind: str = "invalid_request_error",
        code: str | None = None,
        param: str | None = None,
        headers: tuple[tuple[str, str], ...] = (),
        more: Mapping[str, Any] | None = None,
        keeps_changes: bool = False,
    ) -> None:
        """
        *more*: what the body tells beside: a decline's code, the objects it is about.

        *keeps_changes*: it tells of something that was done, such as a payment that failed.
        """
        super().__init__(message)
        self.status = status
        self.message = message
        self.kind = kind
        self.code = code
        self.param = param
        self.headers = headers
        self.more = more or {}
        self.keeps_changes = keeps_changes

    def body(self, request_id: str) -> dict[str, Any]:
        """Return the JSON body that tells of it."""
        error = {"message": self.message, "type": self.kind, **self.more}
        if self.code is not None:
            error["code"] = self.code
            error["doc_url"] = f"https://stripe.com/docs/error-codes/{self.code.replace('_', '-')}"
        if self.param is not None:
            error["param"] = self.param
        error["request_log_url"] = f"https://dashboard.stripe.com/test/logs/{request_id}"
        return {"error": dict(sorted(error.items()))}


def no_such_object(kind: str, wanted: str) -> ApiError:
    """The object a URL names does not exist."""
    return ApiError(404, _missing(kind, wanted), code="resource_missing", param="id")


def bad_reference(kind: str, wanted: str, param: str) -> ApiError:
    """A parameter names an object that does not exist: a bad request, not a missing page."""
    return ApiError(400, _missing(kind, wanted), code="resource_missing", param=param)


def unexpected_state(kind: str, message: str, told: Mapping[str, Any]) -> ApiError:
    """An object of *kind* is in no state to do that; *told* is the object."""
    return ApiError(400, message, code=f"{kind}_unexpected_state", more={kind: dict(told)})


def card_error(decline: Decline, **more: Any) -> ApiError:
    """
    A bank said no. *more*: the objects that tell of it.

    Where there are any, what was done is kept: the payment was made, and failed.
    """
    keeps_changes = bool(more)
    if decline.decline_code is not None:
        more["decline_code"] = decline.decline_code
    if decline.advice is not None:
        more["advice_code"] = decline.advice
    return ApiError(
        402,
        decline.message,
        kind="card_error",
        code=decline.code,
        more={name: value for name, value in more.items() if value is not None},
        keeps_changes=keeps_changes,
    )


def missing_parameter(param: str) -> ApiError:
    """A required parameter is not there."""
    return ApiError(400, f"Missing required param: {param}.", code="parameter_missing", param=param)


def unknown_parameters(params: list[str]) -> ApiError:
    """Parameters the endpoint does not have; *params* holds at least one."""
    plural = "s" if len(params) > 1 else ""
    return ApiError(
        400,
        f"Received unknown parameter{plural}: {', '.join(params)}",
        code="parameter_unknown",
        param=params[0],
    )


def exclusive_parameters(first: str, second: str) -> ApiError:
    """Two parameters of which a request may have one."""
    return ApiError(
        400,
        f"You may only specify one of these parameters: {first}, {second}.",
        code="parameters_exclusive",
        param=first,
    )


def invalid_parameter(message: str, param: str, code: str | None = None) -> ApiError:
    """A parameter's value is of the wrong type or out of its range."""
    return ApiError(400, message, code=code, param=param)


def unset_refused(param: str) -> ApiError:
    """An empty string where nothing can be unset."""
    return ApiError(
        400,
        f"You passed an empty string for '{param}'. We assume empty values are an attempt to "
        f"unset a parameter; however '{param}' cannot be unset. You should remove '{param}' from "
        "your request or supply a non-empty value.",
        code="parameter_invalid_empty",
        param=param,
    )


def url_not_recognized(method: str, path: str) -> ApiError:
    """No endpoint of Stripe's has this method and path."""
    return ApiError(
        404,
        f"Unrecognized request URL ({method}: {path}). If you are trying to list objects, remove "
        "the trailing slash. If you are trying to retrieve an object, make sure you passed a "
        "valid (non-empty) identifier in your code.",
    )


def not_simulated(what: str) -> ApiError:
    """
    Stripe has it, or may have it, and the sandbox does not: said openly, never faked.

    The header keeps Stripe's clients from trying again, which they do at any status over 499.
    """
    return ApiError(
        501,
        f"hookloop's sandbox does not simulate {what}. Its answer would be made up, so it gives "
        "none; use Stripe's own test mode for this call, or run the sandbox with --stub to have "
        "it made up.",
        kind="api_error",
        headers=(("Stripe-Should-Retry", "false"),),
    )


def _missing(kind: str, wanted: str) -> str:
    return f"No such {LABELS.get(kind, kind)}: '{wanted}'"
