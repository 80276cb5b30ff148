"""The relay's counts as Prometheus reads them."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    InfoMetricFamily,
    Metric,
)
from prometheus_client.process_collector import ProcessCollector
from prometheus_client.registry import Collector

from hookloop.version import __version__

from .counts import SECONDS_BUCKETS, Counts

__all__ = ["CONTENT_TYPE", "Gauges", "Metrics"]

CONTENT_TYPE = b"text/plain; version=0.0.4; charset=utf-8"


@dataclass(frozen=True, slots=True)
class Gauges:
    """What is so at the moment."""

    sessions: int
    tunnels: int
    connections: int
    streams: int
    tokens: int
    is_token_file_valid: bool
    is_ready: bool
    workers: int = 1
    certificates: tuple[tuple[str, float], ...] = ()
    """The names of each certificate, and when it expires: Unix seconds."""


class Metrics(Collector):
    """Renders what *read* returns at that moment; nothing is kept here."""

    def __init__(self, read: Callable[[], tuple[Gauges, Counts]]) -> None:
        self._read = read
        self._registry = CollectorRegistry(auto_describe=False)
        self._registry.register(self)
        ProcessCollector(registry=self._registry)  # memory, CPU, file descriptors

    def render(self) -> bytes:
        return generate_latest(self._registry)

    def collect(self) -> Iterator[Metric]:
        gauges, counts = self._read()
        info = InfoMetricFamily("hookloop_relay", "The relay")
        info.add_metric([], {"version": __version__})
        yield info
        yield from _gauges(gauges)
        yield from _counters(counts)
        yield _histogram(counts)


def _gauges(now: Gauges) -> Iterator[Metric]:
    for name, text, value in (
        ("sessions", "Sessions of agents", now.sessions),
        ("tunnels", "Names that lead to an agent", now.tunnels),
        ("connections", "Connections of callers", now.connections),
        ("streams", "Exchanges under way", now.streams),
        ("tokens", "Tokens that are known", now.tokens),
        ("token_file_valid", "0 while the token file cannot be read", now.is_token_file_valid),
        ("ready", "0 while the relay drains", now.is_ready),
        ("workers", "Worker processes", now.workers),
    ):
        yield GaugeMetricFamily(f"hookloop_relay_{name}", text, value=value)
    if now.certificates:
        name, text = "hookloop_relay_certificate_not_after", "When it expires, Unix seconds"
        family = GaugeMetricFamily(name, text, labels=["names"])
        for names, not_after in now.certificates:
            family.add_metric([names], not_after)
        yield family


def _counters(counts: Counts) -> Iterator[Metric]:
    for name, text, value in (
        ("connections_opened", "Connections of callers and agents", counts.connections),
        ("tls_handshakes", "TLS handshakes that were done", counts.handshakes),
        ("tls_handshakes_failed", "TLS handshakes that were not", counts.handshakes_failed),
        ("sessions_opened", "Sessions that agents opened", counts.sessions),
        ("request_bytes", "Bytes of requests' bodies", counts.bytes_in),
        ("response_bytes", "Bytes of answers' bodies", counts.bytes_out),
    ):
        yield CounterMetricFamily(f"hookloop_relay_{name}", text, value=value)
    for name, text, label, values in (
        ("requests", "Exchanges by the class of their status", "status", counts.statuses),
        ("refused", "Answers of the relay's own, by Hookloop-Error", "code", counts.refused),
        ("cut", "Exchanges and connections ended before their time", "reason", counts.cut),
        ("sessions_refused", "Sessions not opened", "code", counts.sessions_refused),
        ("names_refused", "Names not given", "code", counts.names_refused),
    ):
        yield _labelled(f"hookloop_relay_{name}", text, label, values)


def _labelled(name: str, text: str, label: str, values: Mapping[str, int]) -> Metric:
    family = CounterMetricFamily(name, text, labels=[label])
    for key, value in sorted(values.items()):
        family.add_metric([key], value)
    return family


def _histogram(counts: Counts) -> Metric:
    family = HistogramMetricFamily("hookloop_relay_exchange_seconds", "How long exchanges took")
    total, buckets = 0, []
    limits = [*map(str, SECONDS_BUCKETS), "+Inf"]
    for limit, value in zip(limits, counts.buckets, strict=True):
        total += value
        buckets.append((limit, total))
    family.add_metric([], buckets, sum_value=counts.seconds)
    return family
