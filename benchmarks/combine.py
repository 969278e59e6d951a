"""Measures the calls per second of one combine stage without Kafka: `python -m benchmarks.combine [CALLS]`.

All of its work is included: decoding, prices, duplicates, four views (three with contributors), sketches and
early frames. There are two logs: one in the order of time, and one in which every batch has calls of 30
panes.
"""

from __future__ import annotations

import argparse
import gc
import random
import time
from typing import Any

import msgspec

from llmvitals.combine import Combine, CombinePlan
from llmvitals.ingest import decode
from llmvitals.price import Prices
from llmvitals.record.log import Logged
from llmvitals.record.native import DECODER
from llmvitals.record.view import View

VIEWS = (
    View("all", contributors=True, eager=True),
    View("team", ("team",), contributors=True, eager=True),
    View("app", ("app",), contributors=True),
    View("app_model", ("app", "model")),
)
MODELS = (
    ("openai", "gpt-5-mini"),
    ("openai", "gpt-5"),
    ("openai", "gpt-4o-mini"),
    ("anthropic", "claude-sonnet-4-5"),
    ("anthropic", "claude-haiku-4-5"),
    ("google", "gemini-2.5-flash"),
)
START = 1_760_000_000_000
BATCH = 2_000
"""Records in a fetch of about 1 MB."""


def event(dice: random.Random, number: int, at: int) -> dict[str, Any]:
    """A call with twenty fields, about 500 bytes."""
    app = dice.randrange(30)
    provider, model = MODELS[dice.randrange(6)]
    tokens = int(dice.lognormvariate(7, 1))
    out = int(dice.lognormvariate(5, 1))
    first = dice.lognormvariate(5.6, 0.4)
    return {
        "id": f"call-{number:012d}", "ts": at, "operation": "chat", "environment": "prod",
        "app": f"app-{app}", "team": f"team-{app % 10}", "provider": provider, "model": model,
        "prompt_name": f"prompt-{app}", "prompt_version": f"v{dice.randrange(3)}",
        "user": f"user-{dice.randrange(2_000)}", "session": f"session-{dice.randrange(20_000)}",
        "key": f"key-{app}", "trace_id": f"{dice.getrandbits(128):032x}",
        "input_tokens": tokens, "cached_tokens": tokens // 4, "output_tokens": out,
        "latency_ms": round(first + out * 14, 3), "ttft_ms": round(first, 3), "stream": True,
        "finish_reason": "stop", "status": "ok",
    }  # fmt: skip


def log(count: int, per_second: int, spread_ms: int) -> list[Logged]:
    """Make a log of calls. spread_ms: by how much a call may end before its Kafka time."""
    dice = random.Random(7)
    records = []
    for number in range(count):
        kafka = START + number * 1_000 // per_second
        call = event(dice, number, kafka - dice.randrange(spread_ms + 1))
        records.append(Logged(number, kafka, msgspec.json.encode(call)))
    return records


def run(records: list[Logged], disorder_s: int) -> float:
    """Calls per second."""
    plan = CombinePlan(
        decode=decode,
        native=DECODER.decode,
        assess=Prices().assess_all,
        views=VIEWS,
        shards=4,
        disorder_us=disorder_s * 1_000_000,
    )
    stage = Combine(plan, source="calls/0", sources={"calls": 1}, parts={}, beginning=0)
    gc.collect()
    gc.freeze()  # so that the log of the benchmark does not slow down the garbage collector
    flushed = time.perf_counter()
    work = time.process_time()
    size = 0
    for at in range(0, len(records), BATCH):
        size += sum(len(message.value or b"") for message in stage.apply(records[at : at + BATCH]))
        stage.delivered(stage.mark())
        if time.perf_counter() - flushed > 0.5:
            size += sum(len(message.value or b"") for message in stage.flush())
            flushed = time.perf_counter()
    size += sum(len(message.value or b"") for message in stage.finish())
    took = time.process_time() - work
    if stage.counters["applied"] != len(records):
        raise SystemExit(f"lost calls: {stage.counters}")
    print(f"  {len(records) / took:>10,.0f} calls/s   {size / len(records):.1f} bytes of frames a call")
    return len(records) / took


def main() -> None:
    """Measure both logs."""
    form = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=form)
    parser.add_argument("calls", nargs="?", type=int, default=300_000, help="calls in each log")
    count = parser.parse_args().calls
    print("in the order of time, 5,000 calls per second of event time:")
    run(log(count, 5_000, 5_000), 10)
    print("every batch touches 30 panes:")
    run(log(count, 5_000, 300_000), 300)


if __name__ == "__main__":
    main()
