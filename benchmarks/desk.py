"""The desk with 10,000 alerts that fire at once, and with 2,000 incidents of their own.

`python -m benchmarks.desk`: no broker and no Slack; what is measured is the desk's own work in one process.
"""

from __future__ import annotations

import asyncio
import resource
import time
from typing import TYPE_CHECKING, Any

from llmvitals.incidents import IncidentSink
from llmvitals.meters import Unmetered
from llmvitals.notify.delivery import Delivery
from llmvitals.notify.protocol import Answer, Notifier
from llmvitals.rate_limit import RateLimits
from llmvitals.record.alert import Alert, fingerprint
from llmvitals.record.log import Logged, Message, Topic
from llmvitals.record.matcher import parsed
from llmvitals.record.notification import Place
from llmvitals.record.user_action import Silence, encode
from llmvitals.routing import Route, Routing
from llmvitals.settings import Settings
from llmvitals.window import duration

if TYPE_CHECKING:
    from collections.abc import Awaitable

MANY, APART = 10_000, 2_000
HOUR = 3_600_000_000


class Ready(Notifier):
    """A notifier that takes everything at once."""

    name = "slack"
    threads = True

    def __init__(self) -> None:
        self.posted = 0

    async def open(self) -> None: ...

    async def close(self) -> None: ...

    async def check(self) -> Answer:
        return Answer()

    async def post(self, channel: str, *_: Any, **__: Any) -> Answer:
        self.posted += 1
        return Answer(place=Place(channel, str(self.posted)))

    async def edit(self, place: Place, *_: Any, **__: Any) -> Answer:
        return Answer(place=place)

    reply = edit

    async def find(self, *_: Any) -> Answer:
        return Answer()

    async def heard(self, *_: Any) -> Answer:
        return Answer()


class Bench:
    """A desk whose clock only the benchmark moves, and what it wrote."""

    desk: IncidentSink

    def __init__(self) -> None:
        self.now, self.topic = 1_735_732_800_000_000, dict[bytes, bytes]()
        self.slack = Ready()

    def _made(self) -> IncidentSink:
        async def sleep(seconds: float) -> None:
            self.now += int(seconds * 1e6)

        limits = RateLimits(
            clock=lambda: self.now, monotonic=lambda: self.now / 1e6, sleep=sleep, patience=2.0
        )
        return IncidentSink(
            [Delivery(self.slack, "", limits, Unmetered())],
            Routing((Route(repeat=24 * HOUR),)),
            max_age=duration(Settings().max_alert_age),
            limits=limits,
        )

    async def start(self) -> None:
        self.desk = self._made()
        await self.desk.start([Logged(0, 0, value, key) for key, value in self.topic.items()])

    async def took(self, what: str, call: Awaitable[Any]) -> None:
        began = time.perf_counter()
        found = await call
        print(f"{what}: {(time.perf_counter() - began) * 1e3:,.1f} ms")
        self.keep(found or [])

    def keep(self, messages: list[Message]) -> None:
        for message in messages:
            if message.topic is Topic.INCIDENTS and message.value is not None:
                self.topic[message.key] = message.value
            elif message.topic is Topic.INCIDENTS:
                self.topic.pop(message.key, None)

    def fired(self, first: int, count: int, **changes: Any) -> list[Logged]:
        return [
            Logged(n, self.now // 1_000, self._alert(f"user-{first + n}", **changes).encode())
            for n in range(count)
        ]

    def _alert(self, user: str, level: str = "100%") -> Alert:
        mark = fingerprint("UserBudget", {"user": user})
        return Alert(
            rule="UserBudget", kind="budget", status="firing", severity="warning", fingerprint=mark,
            episode=f"{mark}-1", group="g", labels={"user": user}, metric="cost", unit="usd", value=1.0,
            limit=1.0, level=level, since=self.now, at=self.now,
        )  # fmt: skip


async def main() -> None:
    """Both, and what it costs to start with them."""
    bench = Bench()
    await bench.start()
    await bench.took(f"{MANY:,} alerts at once, absorbed", bench.desk.take(0, bench.fired(0, MANY)))
    for turn in range(MANY // 2_000 + 2):
        await bench.took(f"tick {turn}", bench.desk.tick())
    await bench.took("tick with nothing to do", bench.desk.tick())
    print(f"{bench.slack.posted} message tells of them")
    bench.now += 1_000_000
    await bench.took("one of them rises", bench.desk.take(0, bench.fired(7, 1, level="120%")))
    await bench.took("tick that tells it", bench.desk.tick())
    await bench.took("start with all of them", bench.start())
    apart = Bench()
    await apart.start()
    for number in range(APART):
        apart.keep(await apart.desk.take(0, apart.fired(number, 1)))
        apart.keep(await apart.desk.tick())
        # Beyond what a digest takes in.
        apart.now += 400_000_000 if number % 5 == 4 else 2_000_000
    print(f"{apart.slack.posted:,} messages tell of {APART:,} incidents")
    await apart.took("tick with nothing to do", apart.desk.tick())
    silence = Silence(
        id="s", matchers=(parsed("user=~user-1.*"),), starts=apart.now, ends=apart.now + HOUR, by="Ann"
    )
    apart.desk.hear([Logged(0, 0, encode(silence), silence.key)])
    await apart.took("tick after a silence", apart.desk.tick())
    print(f"memory: {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:,.0f} MiB")


if __name__ == "__main__":
    asyncio.run(main())
