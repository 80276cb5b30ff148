"""Spans and metrics: ids and types, never a payload."""

import pytest
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from hookloop import Hooks, Retry
from hookloop.events.opentelemetry import OpenTelemetryObserver
from hookloop.testing import make, send

SECRET = "whsec_otel"


class Telemetry:
    def __init__(self) -> None:
        self._spans = InMemorySpanExporter()
        self._reader = InMemoryMetricReader()
        self.tracers = TracerProvider()
        self.tracers.add_span_processor(SimpleSpanProcessor(self._spans))
        self.observer = OpenTelemetryObserver(
            tracer_provider=self.tracers, meter_provider=MeterProvider([self._reader])
        )

    def spans(self):
        return self._spans.get_finished_spans()

    def counted(self):
        metrics = self._reader.get_metrics_data().resource_metrics[0].scope_metrics[0].metrics
        counter = next(m for m in metrics if m.name == "hookloop.webhook.answers")
        return [(dict(point.attributes), point.value) for point in counter.data.data_points]


@pytest.fixture
def telemetry() -> Telemetry:
    return Telemetry()


@pytest.fixture
def hooks(telemetry: Telemetry) -> Hooks:
    hooks = Hooks(SECRET)
    hooks.observe(telemetry.observer)
    return hooks


def test_each_attempt_is_a_span_with_the_ids_of_its_event(telemetry: Telemetry, hooks: Hooks):
    """One can go from a trace to the event, and to nothing that is in it."""
    hooks.on("invoice.paid")(lambda event: None)
    event = make("invoice.paid", customer_email="jenny@example.com")

    send(hooks, event, secret=SECRET)

    (span,) = telemetry.spans()
    assert span.name == "handle invoice.paid"
    assert span.attributes["hookloop.event.id"] == event["id"]
    assert span.attributes["hookloop.outcome"] == "handled"
    assert "jenny" not in str(span.attributes)


def test_a_handler_in_a_thread_or_on_the_loop_sees_its_span(telemetry: Telemetry, hooks: Hooks):
    """What it calls becomes a child: the context travels with it."""
    tracer = telemetry.tracers.get_tracer("app")

    @hooks.on("invoice.paid")
    async def paid(event):
        with tracer.start_as_current_span("inner"):
            pass

    send(hooks, make("invoice.paid"), secret=SECRET)
    send(hooks.asgi, make("invoice.paid"), secret=SECRET)

    inner, outer, inner2, outer2 = telemetry.spans()
    assert inner.parent.span_id == outer.context.span_id
    assert inner2.parent.span_id == outer2.context.span_id


def test_a_failure_is_an_error_without_its_message(telemetry: Telemetry, hooks: Hooks):
    """Exceptions quote what they were given."""

    @hooks.on("invoice.paid")
    def paid(event):
        raise ValueError("card 4242")

    send(hooks, make("invoice.paid"), secret=SECRET)

    (span,) = telemetry.spans()
    assert span.status.is_ok is False
    assert span.attributes["error.type"] == "ValueError"
    assert span.events == ()


def test_an_outcome_is_no_error(telemetry: Telemetry, hooks: Hooks):
    """Returned or raised, the span tells it."""
    hooks.on("invoice.paid")(lambda event: Retry())

    send(hooks, make("invoice.paid"), secret=SECRET)

    (span,) = telemetry.spans()
    assert span.attributes["hookloop.outcome"] == "retry"
    assert span.status.is_unset


def test_answers_are_counted_by_outcome_and_reason(telemetry: Telemetry, hooks: Hooks):
    """Enough to alert on forged requests and failing handlers."""
    hooks.on("invoice.paid")(lambda event: None)

    send(hooks, make("invoice.paid"), secret=SECRET)
    send(hooks, make("invoice.paid"), secret="whsec_other")

    by_outcome = {
        a["hookloop.outcome"]: (a.get("hookloop.reason"), n) for a, n in telemetry.counted()
    }
    assert by_outcome == {"handled": (None, 1), "invalid_signature": ("mismatch", 1)}
