"""The Django view."""

import weakref
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from django.core.exceptions import RequestDataTooBig
from django.http import HttpRequest, HttpResponse
from django.http.request import RawPostDataException
from django.urls import URLPattern, path
from django.views.decorators.csrf import csrf_exempt

from hookloop.events.receive import Rejected, body_unavailable, judge_head, too_large

if TYPE_CHECKING:
    from hookloop.events.receiver import Receiver

__all__ = ["known_receivers", "urls_for", "view_for"]

_known: "weakref.WeakSet[Receiver]" = weakref.WeakSet()


def known_receivers() -> "list[Receiver]":
    """Return the hooks that have a view in this process, for the system checks."""
    return list(_known)


def view_for(receiver: "Receiver") -> Callable[..., HttpResponse]:
    """
    Return a view that answers webhooks.

    It is exempt from CSRF and login, which no sender can pass, and from ATOMIC_REQUESTS: a
    handler that fails must not take back what the others wrote. It is sync: under ASGI,
    Django runs it in a thread where the ORM works.
    """
    if receiver not in _known:
        from .signals import SignalObserver

        receiver.observe(SignalObserver(receiver))
        _known.add(receiver)

    def stripe_webhook(request: HttpRequest, *_args: Any, **_kwargs: Any) -> HttpResponse:
        body = _read(request, receiver.body_bytes_max)
        if isinstance(body, Rejected):
            result = receiver.refuse(body)
        else:
            result = receiver.receive(body, list(request.headers.items()), path=request.path)
        response = HttpResponse(result.body, status=result.status)
        for name, value in result.headers:
            response.headers[name] = value
        return response

    view = csrf_exempt(stripe_webhook)
    # What login_not_required (Django 5.1) and non_atomic_requests for every database set; the
    # decorators for them differ between the versions we support.
    view.login_required = False  # type: ignore[attr-defined]  # read by LoginRequiredMiddleware
    view._non_atomic_requests = _Every()  # type: ignore[attr-defined]  # noqa: SLF001  # read by make_view_atomic
    return view


def urls_for(receiver: "Receiver", route: str) -> list[URLPattern]:
    """Return patterns for *route* with and without a slash at its end: neither redirects."""
    view = view_for(receiver)
    bare = route.strip("/")
    return [path(bare, view), path(f"{bare}/", view)] if bare else [path("", view)]


class _Every(frozenset[str]):
    """Every database alias, whatever it is called."""

    __slots__ = ()

    def __contains__(self, _alias: object) -> bool:
        return True


def _read(request: HttpRequest, most: int) -> bytes | Rejected:
    announced = request.headers.get("Content-Length")
    refused = judge_head(request.method or "", announced, most)
    if refused is not None:
        return refused
    try:
        body = request.body
    except RawPostDataException:
        return body_unavailable(
            "A middleware used request.POST or request.read(): let it use request.body, or keep "
            "it off this path."
        )
    except RequestDataTooBig:
        return too_large(most)
    return body if len(body) <= most else too_large(most)
