"""The health pages of a worker: /livez, /readyz and /metrics."""

from __future__ import annotations

import asyncio
import errno
import logging
import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Self

from aiohttp import web
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4

from llmvitals.errors import ConfigError
from llmvitals.runtime.health_metrics import HealthMetric, Kind, declared

if TYPE_CHECKING:
    from llmvitals.settings import Settings

log: Final = logging.getLogger(__name__)

PORTS: Final[dict[Kind, int]] = {"combine": 0, "merge": 1, "sink": 2, "score": 3}
"""Added to `settings.health_port`, so that one machine can run one worker of each kind."""
CHILDREN: Final = 2_000
"""How many sets of labels a metric keeps; later ones become `_other`."""
_OTHER: Final = "_other"
_BUCKETS: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300)


@dataclass(slots=True)
class _Family:
    metric: HealthMetric
    collector: Any
    seen: set[tuple[str, ...]] = field(default_factory=set)

    def child(self, labels: dict[str, str]) -> Any:
        """Return the collector with these labels; undeclared labels are dropped, missing ones are empty."""
        values = tuple(labels.get(name, "") for name in self.metric.labels)
        if not values:
            return self.collector
        if values not in self.seen:
            if len(self.seen) >= CHILDREN:
                return self.collector.labels(*[_OTHER] * len(values))
            self.seen.add(values)
        return self.collector.labels(*values)


class Health:
    """The pipeline's Meters, and the pages that show them; a context manager.

        with Health(settings, "combine") as health:
            app.run("combine", settings, work, health)

    The pages are served by a thread of their own on `settings.health_host`, so they answer while the worker
    still waits for Kafka. /livez: 200 as long as the process lives (one whose event loop hangs is ended by
    watchdog.Guard). /readyz: 200, or 503 with the reasons; notes beside them. /metrics: for Prometheus.
    """

    def __init__(self, settings: Settings, stage: Kind) -> None:
        self._host, self._stage = settings.health_host, stage
        self.port = settings.health_port and settings.health_port + PORTS[stage]
        self._registry = CollectorRegistry()
        ProcessCollector(namespace="llmvitals", registry=self._registry)
        self._families = {
            name: _Family(metric, _collector(metric, self._registry))
            for name, metric in declared(stage).items()
        }
        self._ready = Gauge("llmvitals_ready", "Whether work is being done.", registry=self._registry)
        self._reason: str | None = "it is starting"
        self._notes: dict[str, str] = {}
        self._unknown: set[str] = set()
        self._thread: threading.Thread | None = None

    def count(self, name: str, value: int = 1, **labels: str) -> None:
        """Add to a counter."""
        if (family := self._family(name, Counter)) is not None and value >= 0:
            family.child(labels).inc(value)

    def gauge(self, name: str, value: float, **labels: str) -> None:
        """Set a gauge."""
        if (family := self._family(name, Gauge)) is not None:
            family.child(labels).set(value)

    def observe(self, name: str, value: float, **labels: str) -> None:
        """Add an observation to a histogram, in seconds."""
        if (family := self._family(name, Histogram)) is not None:
            family.child(labels).observe(value)

    def ready(self, reason: str | None) -> None:
        """Report that the worker is ready (None), or why it is not."""
        self._reason = reason
        self._ready.set(reason is None)

    def note(self, who: str, text: str | None) -> None:
        """Report something that people should know although the worker is ready; None withdraws it."""
        # Not changed in place: the pages are served by another thread.
        others = {name: note for name, note in self._notes.items() if name != who}
        self._notes = others | ({who: text} if text else {})

    def _family(self, name: str, kind: type) -> _Family | None:
        family = self._families.get(name)
        if family is not None and family.metric.kind is kind:
            return family
        if name not in self._unknown:  # a missing metric is no reason to stop a worker
            self._unknown.add(name)
            log.error("the metric %r is not declared for %s in health_metrics.py", name, self._stage)
        return None

    def __enter__(self) -> Self:
        """Serve. Raises ConfigError when the host is not ours; a port in use is exchanged for a free one."""
        self._loop = asyncio.new_event_loop()
        started: list[BaseException | None] = []
        up = threading.Event()
        self._thread = threading.Thread(target=self._serve, args=(started, up), name="health", daemon=True)
        self._thread.start()
        up.wait()
        if started[0] is not None:
            self._thread.join()
            raise ConfigError(
                f"health pages can't be served on {self._host}:{self.port} ({started[0]}): set "
                "LLMVITALS_HEALTH_HOST to an address of this machine and LLMVITALS_HEALTH_PORT to a free port"
            )
        log.info("health pages are on http://%s:%d (/livez /readyz /metrics)", self._host, self.port)
        return self

    def __exit__(self, *exc: object) -> None:
        if self._thread is not None:
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join()

    def _serve(self, started: list[BaseException | None], up: threading.Event) -> None:
        asyncio.set_event_loop(self._loop)
        app = web.Application()
        for path, page in (("/livez", self._livez), ("/readyz", self._readyz), ("/metrics", self._metrics)):
            app.router.add_get(path, page)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=1.0)
        try:
            self._loop.run_until_complete(self._bind(runner))
        except OSError as error:
            started.append(error)
        else:
            started.append(None)
            up.set()
            self._loop.run_forever()
        self._loop.run_until_complete(runner.cleanup())
        self._loop.run_until_complete(self._loop.shutdown_default_executor())
        self._loop.close()
        up.set()

    async def _bind(self, runner: web.AppRunner) -> None:
        await runner.setup()
        try:
            await web.TCPSite(runner, self._host, self.port).start()
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                raise
            log.warning("port %d is in use: the health pages move to a free one", self.port)
            await web.TCPSite(runner, self._host, 0).start()
        self.port = runner.addresses[0][1]

    async def _livez(self, request: web.Request) -> web.Response:
        del request
        return web.json_response({"alive": True, "stage": self._stage})

    async def _readyz(self, request: web.Request) -> web.Response:
        del request
        reasons = self._reason.split("; ") if self._reason else []
        body = {
            "ready": not reasons,
            "stage": self._stage,
            "reasons": reasons,
            "notes": list(self._notes.values()),
        }
        return web.json_response(body, status=503 if reasons else 200)

    async def _metrics(self, request: web.Request) -> web.Response:
        del request
        text = generate_latest(self._registry)
        return web.Response(body=text, headers={"Content-Type": CONTENT_TYPE_PLAIN_0_0_4})


def _collector(metric: HealthMetric, registry: CollectorRegistry) -> Counter | Gauge | Histogram:
    name, labels = f"llmvitals_{metric.name}", metric.labels
    if metric.kind is Histogram:
        return Histogram(name, metric.help, labels, registry=registry, buckets=_BUCKETS)
    return metric.kind(name, metric.help, labels, registry=registry)
