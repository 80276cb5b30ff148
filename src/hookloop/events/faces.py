"""The faces: one small module a framework, imported when it is asked for."""

from typing import TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from django.http import HttpResponse
    from django.urls import URLPattern
    from fastapi import APIRouter
    from flask import Blueprint

    from .asgi import AsgiFace
    from .aws_lambda import LambdaFace
    from .receiver import Receiver
    from .result import Result
    from .wsgi import WsgiFace

__all__ = ["Faces"]


class Faces:
    """
    What a `Receiver` looks like to a server or a framework.

    Every face answers at any path it is given, with and without a slash at the end, and
    never redirects: Stripe counts a redirect as a failure.
    """

    _asgi: "AsgiFace | None" = None

    @property
    def _receiver(self) -> "Receiver":
        return cast("Receiver", self)

    @property
    def asgi(self) -> "AsgiFace":
        """An ASGI application: run it, mount it, or route to it."""
        if self._asgi is None:
            from .asgi import AsgiFace

            self._asgi = AsgiFace(self._receiver)
        return self._asgi

    @property
    def wsgi(self) -> "WsgiFace":
        """A WSGI application: for gunicorn and its kin, or under a dispatcher."""
        from .wsgi import WsgiFace

        return WsgiFace(self._receiver)

    @property
    def lambda_handler(self) -> "LambdaFace":
        """
        An AWS Lambda handler.

        It takes what API Gateway (both payload formats), a load balancer, a function URL and
        EventBridge send.
        """
        from .aws_lambda import LambdaFace

        return LambdaFace(self._receiver)

    def django_view(self) -> "Callable[..., HttpResponse]":
        """Return a view for ``path("webhooks/stripe", ...)``; or see `django_urls`."""
        from .django.view import view_for

        return view_for(self._receiver)

    def django_urls(self, route: str) -> "list[URLPattern]":
        """Return URL patterns for *route* with and without a slash at its end."""
        from .django.view import urls_for

        return urls_for(self._receiver, route)

    def flask_blueprint(self, name: str = "hookloop") -> "Blueprint":
        """Return a blueprint for ``app.register_blueprint(..., url_prefix="/webhooks/stripe")``."""
        from .flask import blueprint_for

        return blueprint_for(self._receiver, name)

    def fastapi_router(self) -> "APIRouter":
        """Return a router for ``app.include_router(..., prefix="/webhooks/stripe")``."""
        from .fastapi import router_for

        return router_for(self._receiver)

    def receive_envelope(self, envelope: "Mapping[str, Any]") -> "Result":
        """
        Run the handlers of an event that came by EventBridge or Azure Event Grid.

        Such events are not signed: the caller's duty is to take them only from where nobody
        else can put one, such as a Lambda that EventBridge alone may invoke.
        """
        from .envelope import receive_envelope

        return receive_envelope(self._receiver, envelope)
