"""What the gateway counts, for Prometheus."""

from __future__ import annotations

from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector

from llmvitals.gateway.records import Contents, Form


class GatewayMeters:
    """Counts requests by form and status, and events by what became of them. waiting: records for Kafka."""

    def __init__(self, waiting: Callable[[], int]) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(namespace="llmvitals", registry=self.registry)
        self._requests = Counter(
            "llmvitals_gateway_requests", "Requests.", ("form", "status"), registry=self.registry
        )
        self._events = Counter(
            "llmvitals_gateway_events",
            "Events of accepted requests: accepted, rejected (unreadable) or ignored (no events).",
            ("outcome",),
            registry=self.registry,
        )
        self._seconds = Histogram(
            "llmvitals_gateway_seconds", "From a request to its answer.", ("form",), registry=self.registry
        )
        gauge = Gauge(
            "llmvitals_gateway_waiting_records",
            "Records that Kafka has not acknowledged.",
            registry=self.registry,
        )
        gauge.set_function(waiting)

    def answered(self, form: Form, status: int, seconds: float) -> None:
        """Count a request."""
        self._requests.labels(form.value, str(status)).inc()
        self._seconds.labels(form.value).observe(seconds)

    def received(self, contents: Contents) -> None:
        """Count the events of a request."""
        self._events.labels("accepted").inc(contents.events)
        self._events.labels("rejected").inc(len(contents.refused))
        self._events.labels("ignored").inc(contents.filtered)
