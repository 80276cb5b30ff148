"""The Flask face: a blueprint whose view takes the raw body before anybody parses it."""

from typing import TYPE_CHECKING

from flask import Blueprint, Response, request
from werkzeug.exceptions import ClientDisconnected

from .receive import Rejected, body_unavailable, judge_head, too_large

if TYPE_CHECKING:
    from .receiver import Receiver

__all__ = ["blueprint_for"]

# All of them, so that what is not POST gets our 405 with a body like the other answers.
_METHODS = ["POST", "GET", "HEAD", "PUT", "PATCH", "DELETE", "OPTIONS"]


def blueprint_for(receiver: "Receiver", name: str) -> Blueprint:
    """
    Return a blueprint that answers at its prefix, with and without a slash at the end.

    With Flask-WTF's CSRFProtect, exempt it: ``csrf.exempt(blueprint)``.
    """
    blueprint = Blueprint(name, __name__)

    def stripe_webhook() -> Response:
        body = _read(receiver.body_bytes_max)
        if isinstance(body, Rejected):
            result = receiver.refuse(body)
        else:
            result = receiver.receive(body, list(request.headers), path=request.path)
        return Response(result.body, status=result.status, headers=list(result.headers))

    blueprint.add_url_rule(
        "/",
        endpoint="webhook",
        view_func=stripe_webhook,
        methods=_METHODS,
        strict_slashes=False,  # both forms answer: Flask would redirect one of them
        provide_automatic_options=False,
    )
    return blueprint


def _read(most: int) -> bytes | Rejected:
    refused = judge_head(request.method, request.headers.get("Content-Length"), most)
    if refused is not None:
        return refused
    # A chunked request announces no length: read one byte over, and no more.
    try:
        if request.content_length is None:
            body = request.stream.read(most + 1)
        else:
            body = request.get_data(cache=True)
    except ClientDisconnected:
        # Less came than was announced: the caller has gone, and then nobody reads this, or
        # something before us has read wsgi.input.
        return body_unavailable()
    return body if len(body) <= most else too_large(most)
