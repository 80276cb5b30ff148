"""The AWS Lambda face: API Gateway, load balancer, function URL, EventBridge."""

import base64
import binascii
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from hookloop.errors import HookloopError

from .envelope import is_eventbridge, receive_envelope
from .receive import Rejected, judge_head, too_large

if TYPE_CHECKING:
    from .receiver import Receiver
    from .result import Result

__all__ = ["EventNotHandledError", "LambdaFace"]


class EventNotHandledError(HookloopError):
    """Raised to EventBridge, which has no status codes: an error is what makes it try again."""


class LambdaFace:
    """
    A Lambda handler: ``handler = hooks.lambda_handler``.

    It tells the caller by the shape of what it is given, and answers in the caller's own.
    """

    def __init__(self, receiver: "Receiver") -> None:
        self._receiver = receiver

    def __call__(self, event: Mapping[str, Any], _context: object = None) -> dict[str, Any]:
        if is_eventbridge(event):
            return self._eventbridge(event)
        body = _body(event, self._receiver.body_bytes_max)
        if isinstance(body, Rejected):
            result = self._receiver.refuse(body)
        else:
            result = self._receiver.receive(body, _headers(event), path=_path(event))
        return _response(event, result)

    def _eventbridge(self, event: Mapping[str, Any]) -> dict[str, Any]:
        result = receive_envelope(self._receiver, event)
        if not result.is_success:
            raise EventNotHandledError(
                f"event {event['detail'].get('id')} ended as {result.outcome}: see the log"
            )
        return {"outcome": result.outcome}


def _body(event: Mapping[str, Any], most: int) -> bytes | Rejected:
    body = event.get("body") or ""
    refused = judge_head(_method(event), None, most)
    if refused is not None:
        return refused
    if event.get("isBase64Encoded"):
        try:
            raw = base64.b64decode(body, validate=True)
        except (binascii.Error, ValueError):
            return Rejected(400, "invalid_payload", "not_base64", "isBase64Encoded, and it is not")
    else:
        # surrogatepass never raises: a body with a lone surrogate fails its signature instead.
        raw = body.encode("utf-8", "surrogatepass")
    return raw if len(raw) <= most else too_large(most)


def _headers(event: Mapping[str, Any]) -> list[tuple[str | bytes, str | bytes]]:
    """Return the headers, every value of those that came several times."""
    multiple = event.get("multiValueHeaders")
    if multiple:
        return [(name, value) for name, values in multiple.items() for value in values]
    return list((event.get("headers") or {}).items())


def _method(event: Mapping[str, Any]) -> str:
    http = (event.get("requestContext") or {}).get("http") or {}
    return str(event.get("httpMethod") or http.get("method") or "POST")


def _path(event: Mapping[str, Any]) -> str:
    return str(event.get("path") or event.get("rawPath") or "")


def _response(event: Mapping[str, Any], result: "Result") -> dict[str, Any]:
    response: dict[str, Any] = {
        "statusCode": result.status,
        "body": result.body.decode("utf-8", "replace"),
        "isBase64Encoded": False,
    }
    # A load balancer with multi-value headers turned on reads only those.
    if event.get("multiValueHeaders") is not None and not event.get("headers"):
        response["multiValueHeaders"] = {name: [value] for name, value in result.headers}
    else:
        response["headers"] = dict(result.headers)
    if "elb" in (event.get("requestContext") or {}):
        response["statusDescription"] = result.status_line
    return response
