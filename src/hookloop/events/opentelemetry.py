"""
Traces and metrics of OpenTelemetry: ``pip install 'hookloop[otel]'``.

    hooks.observe(OpenTelemetryObserver())

A span for each attempt of a handler, as a child of the request's where the framework makes one;
a counter and a histogram of answers. Attributes are ids and types: no payload and no secret.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from opentelemetry.metrics import MeterProvider, get_meter
from opentelemetry.trace import SpanKind, Status, StatusCode, TracerProvider, get_tracer

from hookloop.version import __version__

from .outcomes import Drop, Reject, Retry

if TYPE_CHECKING:
    from .event import Event
    from .observer import Answered

__all__ = ["OpenTelemetryObserver"]

_OUTCOMES = ((Retry, "retry"), (Reject, "rejected"), (Drop, "dropped"))


class OpenTelemetryObserver:
    """Give it to `Hooks.observe`; the providers default to the global ones."""

    def __init__(
        self,
        *,
        tracer_provider: TracerProvider | None = None,
        meter_provider: MeterProvider | None = None,
    ) -> None:
        self._tracer = get_tracer("hookloop", __version__, tracer_provider)
        meter = get_meter("hookloop", __version__, meter_provider)
        self._answers = meter.create_counter(
            "hookloop.webhook.answers", unit="{answer}", description="Webhook requests answered."
        )
        self._seconds = meter.create_histogram(
            "hookloop.webhook.duration",
            unit="s",
            description="From the complete request to its answer.",
        )

    @contextmanager
    def attempt(self, event: "Event[Any]", handler: str) -> Iterator[None]:
        """Run a handler in a span; its failure is recorded there."""
        attributes: dict[str, str | bool] = {
            "hookloop.event.id": event.id,
            "hookloop.event.type": event.type,
            "hookloop.event.livemode": event.livemode,
            "hookloop.handler": handler,
        }
        with self._tracer.start_as_current_span(
            f"handle {event.type}",
            kind=SpanKind.CONSUMER,
            attributes=attributes,
            record_exception=False,
            set_status_on_exception=False,
        ) as span:
            try:
                yield
            except (Retry, Reject, Drop) as asked:
                outcome = next(word for kind, word in _OUTCOMES if isinstance(asked, kind))
                span.set_attribute("hookloop.outcome", outcome)
                raise
            except BaseException as error:
                span.set_attribute("hookloop.outcome", "handler_failed")
                # The message of an exception may quote the payload: its class is enough here,
                # and the log has the rest.
                span.set_attribute("error.type", type(error).__qualname__)
                span.set_status(Status(StatusCode.ERROR))
                raise
            span.set_attribute("hookloop.outcome", "handled")

    def answered(self, answered: "Answered") -> None:
        """Count an answer."""
        attributes: dict[str, str | int] = {
            "hookloop.provider": answered.provider,
            "hookloop.outcome": answered.result.outcome,
            "http.response.status_code": answered.result.status,
        }
        if answered.reason is not None:
            attributes["hookloop.reason"] = answered.reason
        if answered.event is not None and answered.result.outcome != "ignored":
            # Only types that have a handler: a label must not take any value a sender likes.
            attributes["hookloop.event.type"] = answered.event.type
        self._answers.add(1, attributes)
        self._seconds.record(answered.seconds, attributes)
