"""A call counts once: copies that come after their pane closed, and twins of two instrumentors."""

from __future__ import annotations

import asyncio
import itertools
import json
import random
from collections import Counter
from pathlib import Path
from typing import Any

import msgspec
import pytest

from brute import PANE, SECOND, START, Brute, event, keep, logged, plan, stage, summed
from cluster import Cluster
from llmvitals.combine import Combine, CombinePlan
from llmvitals.errors import StateLost
from llmvitals.ingest import decode
from llmvitals.price import Prices
from llmvitals.record.log import Logged
from llmvitals.record.view import View
from llmvitals.settings import Settings, load
from waiting import eventually, until

DATA = Path(__file__).parents[1] / "data" / "ingest"
HOUR = 3_600 * SECOND


def at(number: int, seconds: float, **more: Any) -> tuple[int, dict[str, Any]]:
    """A call that arrives when it ended."""
    time = START + round(seconds * SECOND)
    return time, event(number, time, **more)


def later(call: tuple[int, dict[str, Any]], seconds: float) -> tuple[int, dict[str, Any]]:
    """The same call, arriving so many seconds after START."""
    return START + round(seconds * SECOND), call[1]


def take(one: Combine, *log: tuple[int, Any]) -> Combine:
    """Read on, with every delivery acknowledged."""
    one.apply(logged(log, one.next))
    one.delivered(one.mark())
    return one


def counted(one: Combine) -> Counter[str]:
    return +Counter({name: one.counters[name] for name in ("applied", "duplicate", "late")})


# Copies


def test_the_default_horizon_is_an_hour() -> None:
    assert (load().dedupe_horizon, load().dedupe_ids) == ("1h", 10_000_000)


def test_readme_docs_and_settings_say_the_same_of_the_horizon() -> None:
    root = Path(__file__).parents[2]
    said = Settings.model_fields["dedupe_horizon"].description or ""
    name = f"`LLMVITALS_DEDUPE_HORIZON` ({load().dedupe_horizon})"
    wanted = (
        said.replace("(the same id)", "(the same `id`)")
        .replace("this long", name, 1)
        .removesuffix(" At most 24h.")
    )
    for page in ("README.md", "docs/budgets.md"):
        text = " ".join((root / page).read_text().split())
        assert wanted.rstrip(".") in text, page
    assert f"`LLMVITALS_DEDUPE_IDS` ({load().dedupe_ids:,})" in (root / "docs/budgets.md").read_text()


def test_a_copy_within_the_horizon_is_dropped_and_not_late_also_after_a_restart() -> None:
    made = plan(dedupe_us=HOUR)
    first = at(0, 0)
    for restarts in (False, True):
        one = take(stage(made), first, at(1, 1_800), at(2, 3_500))
        if restarts:
            saved = one.snapshot()
            assert saved.offset == 2, "a restart reads the open panes only"
            one = stage(made, saved.parts)
            take(one, at(2, 3_500))
            one.next = 3
        take(one, later(first, 3_501))
        assert counted(one) == Counter(applied=3, duplicate=1)


def test_a_copy_after_the_horizon_counts_again_as_late() -> None:
    first = at(0, 0)
    one = take(stage(plan(dedupe_us=HOUR)), first, at(1, 3_700), later(first, 3_701))
    assert counted(one) == Counter(applied=3, late=1)


def test_the_checkpoint_drops_what_is_older_than_the_horizon() -> None:
    one = stage(plan(dedupe_us=6 * PANE))
    for number in range(40):
        take(one, at(number, number * 10))
    held = [name for name in one.snapshot().parts if name.startswith("ids.")]
    assert 6 <= len(held) <= 9


def test_a_checkpoint_whose_ids_are_missing_is_refused() -> None:
    made = plan(dedupe_us=HOUR)
    parts = take(stage(made), at(0, 0), at(1, 60), at(2, 120)).snapshot().parts
    for gone in [name for name in parts if name != "manifest"]:
        with pytest.raises(StateLost, match="ids of 1 panes instead of 2"):
            stage(made, {name: data for name, data in parts.items() if name != gone})
    name = next(name for name in parts if name != "manifest")
    with pytest.raises(StateLost, match="can't be read"):
        stage(made, parts | {name: b"\xc1"})


def test_parts_of_other_panes_are_passed_over() -> None:
    """Those that were not removed yet, and those whose manifest was not written."""
    made = plan(dedupe_us=6 * PANE)
    one = take(stage(made), at(0, 0), at(1, 60), at(2, 120))
    parts = one.snapshot().parts
    take(one, at(3, 600), at(4, 700))
    assert stage(made, parts | one.snapshot().parts).counters["applied"] == 5
    assert stage(made, parts | {"ids.999999999999": b"\xc1"}).counters["applied"] == 3


def test_a_checkpoint_of_before_there_were_ids_is_read() -> None:
    made = plan(dedupe_us=HOUR)
    saved = take(stage(made), at(0, 0), at(1, 60)).snapshot()
    manifest = msgspec.msgpack.decode(saved.parts["manifest"])
    del manifest["ids"], manifest["counters"]["forgotten"]
    one = stage(made, {"manifest": msgspec.msgpack.encode(manifest)})
    assert counted(take(one, at(1, 60), at(2, 61)))["applied"] == 3


@pytest.mark.parametrize(("most", "forgotten"), [(20, 0), (19, 10), (9, 20)])
def test_too_many_ids_shorten_the_horizon_and_it_is_counted(most: int, forgotten: int) -> None:
    made = plan(dedupe_us=HOUR, max_ids=most)
    calls = [at(n, n / 10) for n in (*range(10), *range(200, 210), *range(400, 410))]
    one = take(stage(made), *calls, at(1_000, 70))
    take(one, *(later(call, 71) for call in calls[:20]))
    # The third pane is full of ids too, and the newest panes are kept.
    kept = most // 10 - 1
    assert one.counters["duplicate"] == max(0, kept) * 10
    again = stage(made, one.snapshot().parts)
    assert again.counters["forgotten"] == one.counters["forgotten"] >= forgotten


@pytest.mark.parametrize("size", [1, 5, 100])
def test_which_panes_are_remembered_does_not_depend_on_batches(size: int) -> None:
    """Ten calls with a response each are 20 ids, more than fit: the copies are of a forgotten pane."""
    calls = [at(n, n / 10, response_id=f"r{n}", instrumentor="one") for n in range(10)]
    log = [*calls, at(1_000, 70), *(later(call, 71) for call in calls)]
    one = stage(plan(dedupe_us=HOUR, max_ids=15))
    for begin in range(0, len(log), size):
        take(one, *log[begin : begin + size])
    assert counted(one) == Counter(applied=21, late=10)


# Twins


def told(number: int, seconds: float, by: str | None = "one", **more: Any) -> tuple[int, dict[str, Any]]:
    said = {"response_id": "chatcmpl-1", "latency_ms": 2_000} | ({"instrumentor": by} if by else {})
    return at(number, seconds, **said | more)


@pytest.mark.parametrize("apart", [0, 0.5, 2.9])
@pytest.mark.parametrize("ended", [5, 9.9])
@pytest.mark.parametrize("arrives", [0, 30, 1_200])
@pytest.mark.parametrize("restarts", [False, True])
def test_twins_count_once_in_one_pane_in_two_and_late(
    apart: float, ended: float, arrives: float, restarts: bool
) -> None:
    made = plan(dedupe_us=HOUR)
    log = [told(0, ended), *([at(1, ended + arrives)] if arrives else [])]
    twin = later(told(2, ended + apart, "two"), ended + max(apart, arrives))
    one = take(stage(made), *log)
    if restarts:
        saved = one.snapshot()
        one = stage(made, saved.parts)
        take(one, *log[saved.offset :])
    take(one, twin)
    assert counted(one) == Counter(applied=len(log), duplicate=1)


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (told(0, 5), told(1, 5)),  # one instrumentor
        (told(0, 5), told(1, 8.5, "two")),  # another time
        (told(0, 5), told(1, 5, "two", response_id="chatcmpl-2")),
        (told(0, 5, response_id=""), told(1, 5, "two", response_id="")),
        (told(0, 5), told(1, 5, "two", cache_hit=True)),
        (told(0, 5, cache_hit=True), told(1, 5, "two")),
        (told(0, 5), told(1, 5, "two", operation="evaluation", scores={"good": 1.0})),
    ],
)
def test_what_only_looks_like_a_twin_counts(first: Any, second: Any) -> None:
    assert counted(take(stage(plan(dedupe_us=HOUR)), first, second)) == Counter(applied=2)


def test_who_does_not_say_who_it_is_is_somebody_else() -> None:
    one = take(stage(), told(0, 5, None), told(1, 5, None), told(2, 5, "two"))
    assert counted(one) == Counter(applied=1, duplicate=2)


def test_a_server_that_gives_all_answers_one_id_loses_no_call() -> None:
    """One instrumentor: all count. Two: each call once, whoever is first."""
    calls = [told(n, n / 100) for n in range(600)]
    assert counted(take(stage(), *calls)) == Counter(applied=600)
    pairs = [
        told(2 * n + turn, n / 10 + turn / 50, "two" if turn else "one")
        for n in range(300)
        for turn in (0, 1)
    ]
    assert counted(take(stage(), *pairs)) == Counter(applied=300, duplicate=300)


# Spans within each other


def nested(number: int, seconds: float, parent: int = 0, **more: Any) -> tuple[int, dict[str, Any]]:
    """A call that a span told of, without a response id."""
    said = {
        "trace_id": "t",
        "span_id": f"s{number}",
        "latency_ms": 1_000,
        "input_tokens": 5,
        "instrumentor": "i",
    }
    return at(number, seconds, **said | ({"parent_id": f"s{parent}"} if parent else {}) | more)


OUTER, MIDDLE, INNER = nested(1, 5), nested(2, 4.9, 1), nested(3, 4.8, 2)


@pytest.mark.parametrize("order", list(itertools.permutations((OUTER, MIDDLE, INNER))))
def test_spans_right_within_each_other_are_one_call_in_nearly_any_order(order: Any) -> None:
    """Where the innermost and the outermost come first, nothing tells that they are one until it is too late."""
    calls = 2 if order[2] is MIDDLE else 1
    assert counted(take(stage(), *order)) == Counter(applied=calls, duplicate=3 - calls)


@pytest.mark.parametrize("order", [(OUTER, MIDDLE), (MIDDLE, OUTER)])
@pytest.mark.parametrize("arrives", [0, 30, 1_200])
@pytest.mark.parametrize("restarts", [False, True])
def test_a_span_and_the_one_around_it_are_one_call_also_after_a_restart(
    order: Any, arrives: float, restarts: bool
) -> None:
    made = plan(dedupe_us=HOUR)
    log = [order[0], *([at(9, 5 + arrives)] if arrives else [])]
    one = take(stage(made), *log)
    if restarts:
        saved = one.snapshot()
        one = stage(made, saved.parts)
        take(one, *log[saved.offset :])
    take(one, later(order[1], 5 + arrives))
    assert counted(one) == Counter(applied=len(log), duplicate=1)


def test_attempts_within_one_call_all_count() -> None:
    attempts = [nested(number, 4 + number / 10, 1, status="error") for number in (2, 3, 4)]
    assert counted(take(stage(), *attempts, OUTER)) == Counter(applied=3, duplicate=1)


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (nested(2, 4.9, 1, operation="embedding"), OUTER),
        (nested(1, 5, operation="tool", tools=[{"name": "a"}]), nested(2, 4.9, 1)),
        (nested(1, 5, operation="tool", tools=[{"name": "a"}]),
         nested(2, 4.9, 1, operation="tool", tools=[{"name": "b"}])),
        (nested(2, 4.9, 1, trace_id="other"), OUTER),
        (nested(1, 5, input_tokens=None), MIDDLE),  # else its tokens would be lost
        (nested(2, 4.9, 1, cache_hit=True), OUTER),
        (nested(2, 4.9, 9), nested(3, 4.9, 9)),  # two calls of one agent
    ],
)  # fmt: skip
def test_what_only_looks_like_a_span_around_a_call_counts(first: Any, second: Any) -> None:
    assert counted(take(stage(plan(dedupe_us=HOUR)), first, second)) == Counter(applied=2)


@pytest.mark.parametrize("seed", range(40))
def test_spans_by_chance_in_any_batches_and_after_a_restart(seed: int) -> None:
    chance = random.Random(seed)
    made = plan(dedupe_us=HOUR)
    log = [
        nested(
            number, chance.uniform(0, 40), trace_id=chance.choice("ab"), span_id=chance.choice("1234"),
            parent_id=chance.choice("1234"), latency_ms=chance.choice((0, 500, 30_000)),
            input_tokens=chance.choice((None, 5)), status=chance.choice(("ok", "error")),
            response_id=chance.choice(("", "r")), instrumentor=chance.choice(("one", "two")),
        )
        for number in range(30)
    ]  # fmt: skip
    log.sort(key=lambda call: call[0] + chance.randrange(8 * SECOND))
    want = Brute(made).take(logged(log, 0)).counters
    one, stop = stage(made), chance.randrange(len(log))
    while one.next < stop:
        take(one, *log[one.next : min(one.next + chance.randrange(1, 9), stop)])
    saved = one.snapshot()
    heir = take(stage(made, saved.parts), *log[saved.offset : stop])
    for reader in (one, heir):
        take(reader, *log[stop:])
    assert counted(one) == +Counter({name: want[name] for name in ("applied", "duplicate", "late")})
    assert counted(heir) == counted(one)


# Recordings


def combine() -> Combine:
    made = CombinePlan(decode=decode, assess=Prices().assess_all, views=(View("all"),), dedupe_us=HOUR)
    return Combine(made, source="calls/0", sources={"calls": 1}, parts={}, beginning=0)


def totals(records: list[bytes], gap: int = 0) -> tuple[int, ...]:
    """Calls, tokens and nano-dollars of records that arrive so many µs one after the other."""
    one, begun = combine(), 1_795_600_000 * SECOND
    out = one.apply(
        [Logged(place, (begun + place * gap) // 1_000, record) for place, record in enumerate(records)]
    )
    found = summed(keep({}, [*out, *one.finish()])).values()
    names = ("calls", "input_tokens", "output_tokens", "cached_tokens", "cost_nano")
    return tuple(sum(vitals.total(name) for vitals in found) for name in names)


def spans(export: bytes) -> list[bytes]:
    """Each span as a record of its own."""
    return [
        json.dumps({"resourceSpans": [group | {"scopeSpans": [scoped | {"spans": [span]}]}]}).encode()
        for group in json.loads(export)["resourceSpans"]
        for scoped in group["scopeSpans"]
        for span in scoped["spans"]
    ]


def test_two_instrumentors_count_once_in_one_record_and_in_many() -> None:
    whole = (DATA / "anthropic_genai_official_and_native.json").read_bytes()
    want = totals([whole])
    assert want[:4] == (2, 1_921 + 659, 12 + 7, 1_800 + 640)
    assert want[4] > 0
    assert totals([(DATA / "anthropic_genai_official_and_native.pb").read_bytes()]) == want
    apart = spans(whole)
    assert len(apart) == 4
    for order in itertools.permutations(apart):
        assert totals(list(order)) == want
        assert totals([*order, whole]) == want


def test_litellm_by_two_callbacks_counts_an_answer_once() -> None:
    payload = json.loads((DATA / "litellm_proxy_generic_api.json").read_bytes())[0]
    by_span = next(
        record
        for record in spans((DATA / "litellm_proxy_otel.json").read_bytes())
        if any(call.response_id == "chatcmpl-0003" for call in decode(record).calls)
    )
    (call,) = decode(by_span).calls
    recorded = json.dumps(payload).encode()
    # The two were recorded in two runs, and the stub gave both of them the same ids: they are two calls.
    assert totals([recorded, by_span])[0] == 2
    moved = {
        name: payload[name] + call.ts.timestamp() - payload["endTime"] for name in ("startTime", "endTime")
    }
    one_run = json.dumps(payload | moved).encode()
    assert totals([one_run, by_span])[:3] == totals([recorded])[:3] == (1, 310, 12)
    assert totals([by_span, one_run])[0] == 1


def test_a_hit_in_litellms_cache_is_a_call_of_its_own() -> None:
    first = json.loads((DATA / "litellm_payload.json").read_bytes())
    hit = first | {"litellm_call_id": "hit", "cache_hit": True}
    assert totals([json.dumps(one).encode() for one in (first, hit)])[0] == 2


def test_a_long_response_id_is_not_cut() -> None:
    payload = json.loads((DATA / "litellm_payload.json").read_bytes())
    found = []
    for size in (300, 512, 513):
        payload["response"]["id"] = "r" * size
        (call,) = decode(json.dumps(payload).encode()).calls
        found.append(call.response_id)
    assert found == ["r" * 300, "r" * 512, None]


# On the broker


@pytest.mark.kafka
@pytest.mark.timeout(240)
async def test_copies_are_known_after_a_kill(kafka: str, topic_prefix: str, tmp_path: Path) -> None:
    """The calls' panes are sealed and the checkpoint begins after them when the worker is killed."""
    async with Cluster(kafka, topic_prefix, tmp_path) as cluster:
        topic, begin = cluster.settings.topic("calls"), 1_790_000_000_000
        calls = [
            json.dumps(
                {"id": f"c{n}", "ts": begin + n * 10, "model": "gpt-4o-mini", "input_tokens": 5}
            ).encode()
            for n in range(2_000)
        ]
        last = [
            json.dumps({"id": f"l{n}", "ts": begin + 600_000 + n, "model": "gpt-4o-mini"}).encode()
            for n in range(5)
        ]
        worker = cluster.start("combine")
        await cluster.publish(topic, 0, [*calls, *last])

        async def ids() -> bool:
            written = await cluster.read(cluster.settings.topic("checkpoints"))
            return any(b"|ids." in record.key for record in written)

        await eventually(ids, 60, worker.text, every=0.5)
        worker.kill()
        heir = cluster.start("combine")
        await cluster.publish(topic, 0, [*calls, last[-1]])
        await asyncio.to_thread(
            until,
            lambda: heir.metric("llmvitals_calls_duplicate_total") == 2_001,
            90,
            lambda: f"copies are dropped\n{cluster.logs()}",
        )
        assert heir.metric("llmvitals_calls_late_total") == 0
        assert heir.stop() == 0, heir.text()
