"""Combine the naive way: one call after another, dictionaries, Python's integers; and what frames add up to."""

from __future__ import annotations

import json
import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import msgspec
import numpy as np
from hypothesis import strategies as st

import sent_frames
from llmvitals.combine import Combine, CombinePlan
from llmvitals.errors import BadCall, Code
from llmvitals.price.cost import Cost, Reason
from llmvitals.record.call import Call
from llmvitals.record.frame import Frame, LateEntry
from llmvitals.record.log import Logged, Message, Topic
from llmvitals.record.view import Condition, View
from llmvitals.record.vitals import Vitals, merged
from llmvitals.sketch import counters, quantiles, scores, top_k
from pricing import one_by_one

SECOND = 1_000_000
PANE, DISORDER, FUTURE = 10 * SECOND, 7 * SECOND, 60 * SECOND
START = 1_700_000_000 * SECOND
MODEL = {"chat", "completion", "embedding", "rerank", "image", "audio", "moderation"}
VIEWS = (
    View("all", eager=True, contributors=True),
    View("app", ("app",), contributors=True),
    View("app_model", ("app", "model"), eager=True),
    View("ours", ("tags.region",), (("app", Condition(frozenset({"a", "b"}))),)),
)


class Found(NamedTuple):
    calls: list[Call]
    filtered: int = 0
    refused: tuple[BadCall, ...] = ()
    unread: Mapping[str, int] = {}


def decode(value: bytes, _: int = 0) -> Found:
    """A call, or a list of calls and of nulls, which are no calls."""
    try:
        found = msgspec.json.decode(value, type=Call | list[Call | None])
    except msgspec.DecodeError as error:
        raise BadCall(Code.INVALID, "no call") from error
    calls: list[Call | None] = found if isinstance(found, list) else [found]
    return Found([call for call in calls if call is not None], calls.count(None))


def assess(call: Call) -> Cost:
    """Ten nano-dollars a token, a cached one 3 less, but nobody knows the price of `free`, and `bug` is one."""
    if call.model == "bug":
        raise KeyError(call.id)
    if call.model == "free":
        return None, Reason.UNPRICED, 0
    if (call.cached_tokens or 0) > (call.input_tokens or 0):
        return None, Reason.INCONSISTENT, 0
    gross = 10 * ((call.input_tokens or 0) + (call.output_tokens or 0))
    return 0 if call.cache_hit else gross - 3 * (call.cached_tokens or 0), Reason.PRICED, gross


def unmetered(call: Call) -> tuple[bool, int, int] | None:
    """Nobody bills failed calls; a byte that was sent costs 1 to 7 nano-dollars."""
    if call.status == "error":
        return None
    size = call.input_bytes
    return (False, 0, 0) if size is None else (True, size, 7 * size)


def plan(**changes: Any) -> CombinePlan:
    fields: dict[str, Any] = {
        "decode": decode, "assess": one_by_one(assess), "native": msgspec.json.Decoder(Call).decode, "views": VIEWS,
        "unmetered": unmetered, "shards": 3, "pane_us": PANE, "disorder_us": DISORDER, "future_us": FUTURE, "heaviest": 1_000,
    }  # fmt: skip
    return CombinePlan(**fields | changes)


def stage(
    made: CombinePlan | None = None, parts: dict[str, bytes] | None = None, source: str = "calls/0"
) -> Combine:
    return Combine(made or plan(), source=source, sources={"calls": 1}, parts=parts or {}, beginning=0)


Place = tuple[str, tuple[str, ...], int]
"""View, series, pane."""
Part = tuple[str, tuple[str, ...], int, int]
"""The same, and the quarter of an hour of late calls' own time, or ON_TIME."""
ON_TIME = -1
QUARTER = 900 * SECOND


@dataclass
class Bill:
    """One series in one pane."""

    sums: Counter[str] = field(default_factory=Counter)
    maxima: Counter[str] = field(default_factory=Counter)
    values: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    who: dict[str, dict[str, list[int]]] = field(
        default_factory=lambda: defaultdict(lambda: defaultdict(lambda: [0] * 6))
    )
    worst: dict[str, set[tuple[int, str]]] = field(default_factory=lambda: defaultdict(set))
    scores: dict[str, list[int]] = field(default_factory=lambda: defaultdict(list))

    def vitals(self, contributors: bool) -> Vitals:
        keys = np.concatenate(
            [quantiles.bin_keys(name, np.array(values, float)) for name, values in self.values.items()]
            or [np.empty(0, np.int64)]
        )
        keys, counts = np.unique(keys, return_counts=True)
        return Vitals(
            tuple(int(self.sums[name]) for name in counters.SUMS),
            tuple(self.maxima[name] for name in counters.MAXIMA),
            (keys.astype(np.uint16), counts),
            {
                kind: {name: (a, b, c, d, e, f) for name, (a, b, c, d, e, f) in found.items()}
                for kind, found in self.who.items()
            }
            if contributors
            else {},
            {
                kind: tuple((-value, trace) for value, trace in sorted(found)[: top_k.EXEMPLARS])
                for kind, found in self.worst.items()
            },
            {
                name: (
                    len(self.scores[name]),
                    sum(self.scores[name]),
                    sum(round(micro * micro / 1e6) for micro in self.scores[name]),
                )
                for name in sorted(self.scores)[: scores.MOST]
            },
        )


class Told(NamedTuple):
    """A call with a response id: when it began and ended, µs; by which instrumentor."""

    begun: int
    time: int
    by: str | None


@dataclass
class Brute:
    """What must come of a log, from the log alone and the promises that were made."""

    made: CombinePlan
    promises: Sequence[tuple[int, int]] = ()
    bills: dict[Part, Bill] = field(default_factory=lambda: defaultdict(Bill))
    counters: Counter[str] = field(default_factory=Counter)
    letters: dict[int, str] = field(default_factory=dict)
    watermark: int = -(10**20)
    ids: dict[int, set[str]] = field(default_factory=lambda: defaultdict(set))
    answers: dict[int, dict[str, list[Told]]] = field(
        default_factory=lambda: defaultdict(lambda: defaultdict(list))
    )
    met: dict[tuple[str, int, int], set[tuple[str, ...]]] = field(default_factory=lambda: defaultdict(set))

    def take(self, log: Iterable[Logged]) -> Brute:
        for record in log:
            try:
                found = json.loads(record.value or b"")
            except ValueError:
                self.refuse(record, "invalid")
                continue
            before = self.watermark
            for event in found if isinstance(found, list) else [found]:
                self.count(event, record, before)
        return self

    def refuse(self, record: Logged, code: str) -> None:
        self.counters.update(("in", "dead_lettered"))
        self.letters.setdefault(record.offset, code)

    def count(self, event: dict[str, Any] | None, record: Logged, before: int) -> None:
        if event is None:
            self.counters.update(("in", "filtered"))
        elif code := self.wrong(event, record.timestamp * 1_000):
            self.refuse(record, code)
        else:
            self.counters["in"] += 1
            time, kafka = event["ts"] * 1_000, record.timestamp * 1_000
            self.watermark = max(self.watermark, min(time, kafka) - self.made.disorder_us)
            self.place(event, record.offset, time, before)

    def wrong(self, event: dict[str, Any], kafka: int) -> str | None:
        time = event["ts"] * 1_000
        if event["model"] == "bug":
            return "internal"
        if time < 1_420_070_400 * SECOND:
            return "past"
        return "future" if time - kafka > self.made.future_us else None

    def place(self, event: dict[str, Any], offset: int, time: int, before: int) -> None:
        model = event.get("operation", "chat") in MODEL
        reached = event.get("operation") == "outcome" and event.get("status") != "error"
        counts = (
            reached
            or event.get("operation") in ("tool", "retrieval")
            or any(event.get(name) for name in ("guardrails", "scores", "retrieval"))
        )
        if not model and not counts and event.get("toxicity") is None:
            self.counters["filtered"] += 1
            return
        low = max([before // PANE, *(pane for at, pane in self.promises if at <= offset)])
        pane = max(time // PANE, low)
        oldest = self.oldest(low)
        known = range(max(time // PANE, oldest), pane + 1)
        again = copy = any(event["id"] in self.ids[number] for number in known if number in self.ids)
        self.ids[pane].add(event["id"])
        if not again and event.get("response_id") and model and not event.get("cache_hit"):
            copy = self.twin(event, time, pane, oldest)
        if not again and event.get("span_id") and event.get("instrumentor") and not event.get("cache_hit"):
            copy |= self.nested(event, time, pane, oldest)
        late = pane > time // PANE
        self.counters["duplicate" if copy else "applied"] += 1
        self.counters["late"] += late and not copy
        quarter = time // QUARTER if late and model and not copy else ON_TIME
        for view in self.made.views:
            self.add(view, (pane, quarter), event, {"copy": copy, "late": late, "model": model})

    def oldest(self, low: int) -> int:
        """The oldest pane whose ids are known where this is the lowest open one."""
        oldest = low - -(-self.made.dedupe_us // PANE)
        held = 0
        for number in sorted((number for number in self.ids if oldest <= number < low), reverse=True):
            held += len(self.ids[number]) + sum(map(len, self.answers[number].values()))
            if held > self.made.max_ids:
                return number + 1
        return oldest

    def twin(self, event: dict[str, Any], time: int, pane: int, oldest: int) -> bool:
        """Whether another instrumentor told of this call before; if not, it is known from now on."""
        begun, by = time - round(event.get("latency_ms", 0) * 1_000), event.get("instrumentor")
        for number, known in self.answers.items():
            for other in known[event["response_id"]] if number >= oldest else ():
                apart = begun - other.time > SECOND or other.begun - time > SECOND
                if not apart and (by is None or by != other.by):
                    return True
        mine = self.answers[pane][event["response_id"]]
        mine.append(Told(begun, time, by))
        del mine[:-8]
        return False

    def nested(self, event: dict[str, Any], time: int, pane: int, oldest: int) -> bool:
        """Whether the span right around this one or one right inside, of its kind, told of the call before."""
        kind = event.get("operation", "chat")
        if kind not in MODEL and kind not in ("tool", "retrieval"):
            return False
        kind = "chat" if kind == "completion" else kind
        names = ",".join(tool["name"] for tool in event.get("tools", ())) if kind == "tool" else ""
        first = max((time - round(event.get("latency_ms", 0) * 1_000) - SECOND) // PANE, oldest)
        known = {name for number, ids in self.ids.items() if number >= first for name in ids}
        trace = f"{kind}{names}/{event.get('trace_id')}/"
        own, parent = trace + event["span_id"], trace + event["parent_id"] if event.get("parent_id") else ""
        metered = event.get("input_tokens") is not None or event.get("output_tokens") is not None
        stands = metered or event.get("status") == "error" or kind not in MODEL
        inner, outer = f"<{own}" in known, bool(parent) and f">{parent}" in known
        self.ids[pane] |= {f">{own}"} if stands and not inner else set()
        self.ids[pane] |= {f"<{parent}"} if parent and not outer else set()
        return inner or outer

    def add(self, view: View, at: tuple[int, int], event: dict[str, Any], is_: dict[str, bool]) -> None:
        """at: the pane, and the quarter of an hour of a late call or ON_TIME."""
        said = {name: event.get(name) or "unknown" for name in ("app", "model")}
        said["tags.region"] = (event.get("tags") or {}).get("region") or "unknown"
        if not all(said[name] in condition.values for name, condition in view.where):
            return
        series = tuple(said[name] for name in view.by)
        met = self.met[view.name, *at]
        if series not in met:
            if len(met) >= self.made.max_series:
                series = ("_other",) * len(series)
            else:
                met.add(series)
        bill = self.bills[view.name, series, *at]
        if is_["copy"]:
            bill.sums["duplicates"] += 1
            return
        if is_["model"]:
            self.add_call(bill, event, late=is_["late"])
        self.add_quality(bill, event)
        for name, score in (event.get("scores") or {}).items():
            bill.scores[name].append(round(score * 1e6))
        told = [
            one["score"]
            for one in event.get("guardrails") or []
            if "score" in one and "toxic" in one["name"].lower()
        ]
        if (toxicity := event.get("toxicity", told[0] if told else None)) is not None:
            bill.sums.update(
                toxicity_count=1, toxicity_micro=round(toxicity * 1e6), toxic_calls=int(toxicity >= 0.5)
            )
            bill.values["toxicity"].append(round(toxicity * 1e6) / 1e4)

    def add_quality(self, bill: Bill, event: dict[str, Any]) -> None:
        said = {one["verdict"] for one in event.get("guardrails") or []}
        bill.sums.update(
            guarded_calls=bool(said), guardrail_blocks="block" in said, guardrail_flags="flag" in said,
            verdicts=len(event.get("guardrails") or []), guardrail_fixes="fix" in said,
        )  # fmt: skip
        self.add_kind(bill, event)
        if found := event.get("retrieval"):
            latency, score = found.get("latency_ms"), found.get("top_score")
            bill.sums.update(
                retrievals=1, documents=found["documents"], empty_retrievals=found["documents"] == 0,
                retrieval_us=round((latency or 0) * 1e3), retrieval_count=latency is not None,
                top_score_micro=round((score or 0) * 1e6), top_score_count=score is not None,
            )  # fmt: skip

    def add_kind(self, bill: Bill, event: dict[str, Any]) -> None:
        kind, failed = event.get("operation", "chat"), event.get("status") == "error"
        latency = event.get("latency_ms")
        bill.sums["evaluations"] += len(event.get("scores") or {})
        if kind == "embedding":
            tokens = event.get("input_tokens") or 0
            bill.sums.update(embedding_calls=1, embedding_errors=failed, embedding_tokens=tokens)
        if kind == "retrieval" or event.get("retrieval"):
            bill.sums.update(retrieval_calls=1, retrieval_errors=failed and kind == "retrieval")
        bill.sums["outcomes"] += kind == "outcome" and not failed
        if kind == "tool":
            micros = round((latency or 0) * 1e3)
            bill.sums.update(tool_runs=1, tool_errors=failed, tool_us=micros, tool_count=latency is not None)

    def add_call(self, bill: Bill, event: dict[str, Any], *, late: bool) -> None:
        tokens, out = event.get("input_tokens"), event.get("output_tokens")
        usage = tokens is not None or out is not None
        inconsistent = (event.get("cached_tokens") or 0) > (tokens or 0)
        unpriced = event["model"] == "free" or inconsistent
        blocks = any(one["verdict"] == "block" for one in event.get("guardrails") or [])
        stopped = blocks and not usage and event.get("status") != "error"
        gross = 0 if unpriced else 10 * ((tokens or 0) + (out or 0))
        cost = 0 if event.get("cache_hit") or unpriced else gross - 3 * (event.get("cached_tokens") or 0)
        billed = unpriced and not stopped and event.get("status") != "error"
        size = event.get("input_bytes") if billed else None
        latency, ttft = event.get("latency_ms"), event.get("ttft_ms")
        latency_us, ttft_us = round((latency or 0) * 1_000), round((ttft or 0) * 1_000)
        bill.sums.update(
            calls=1, late_calls=int(late), errors=int(event.get("status") == "error"),
            unpriced_calls=int(unpriced and not stopped), stopped_calls=int(stopped), priced_calls=int(not unpriced),
            inconsistent_usage_calls=int(inconsistent and event["model"] != "free"),
            usage_calls=int(usage), unknown_usage_calls=int(not usage and not stopped),
            cache_hits=int(event.get("cache_hit") is True),
            truncated_calls=int(event.get("finish_reason") in ("length", "max_tokens")),
            input_tokens=tokens or 0, output_tokens=out or 0, cached_tokens=event.get("cached_tokens") or 0,
            cost_nano=cost, gross_cost_nano=gross, latency_us=latency_us, latency_count=int(latency is not None),
            ttft_us=ttft_us, ttft_count=int(ttft is not None),
            refused_calls=int(event.get("finish_reason") in ("content_filter", "refusal", "SAFETY")),
            free_calls=int(not unpriced and not cost),
            unmetered_calls=int(billed), estimated_calls=int(size is not None),
            estimated_low_nano=size or 0, estimated_high_nano=7 * (size or 0),
        )  # fmt: skip
        for name, amount in (("cost", cost or 1), ("input", 1 + (tokens or 0)), ("output", 1 + (out or 0))):
            log = round(math.log(amount) / 1e-4)
            bill.sums.update({f"log_{name}": log, f"log_{name}_square": log * log})
        for name, value in (
            ("latency_us_max", latency_us), ("ttft_us_max", ttft_us), ("cost_nano_max", cost), ("input_tokens_max", tokens or 0),
        ):  # fmt: skip
            bill.maxima[name] = max(bill.maxima[name], value)
        writing = latency_us - (ttft_us if event.get("stream") else 0)
        for name, there, value in (
            ("latency_ms", latency is not None, latency_us / 1_000),
            ("ttft_ms", ttft is not None, ttft_us / 1_000),
            ("cost_usd_per_call", not unpriced, cost / 1_000),
            ("input_tokens_per_call", usage, tokens or 0),
            ("output_tokens_per_s", out and writing > 0, (out or 0) * 1e6 / max(writing, 1)),
        ):
            if there:
                bill.values[name].append(value)
        prompt = event.get("prompt_name") and "@".join(
            filter(None, (event["prompt_name"], event.get("prompt_version")))
        )
        self.add_error(bill, event)
        for kind in ("user", "session", "key", "prompt", "model"):
            contributor = prompt if kind == "prompt" else event.get(kind)
            if contributor:
                more = 1, cost, (tokens or 0) + (out or 0), gross, latency_us, out or 0
                bill.who[kind][contributor] = [
                    a + b for a, b in zip(bill.who[kind][contributor], more, strict=True)
                ]
        for tool in event.get("tools") or []:
            bill.who["tool"]["#".join(tool[word] for word in ("name", "arguments_hash") if word in tool)][
                0
            ] += 1
        for kind, value in (("cost", cost), ("latency", latency_us)):
            if value:
                bill.worst[kind].add((-value, event.get("trace_id") or event["id"]))

    def add_error(self, bill: Bill, event: dict[str, Any]) -> None:
        if event.get("status") == "error":
            error = event.get("error_type") or "unknown"
            bill.who["error"][f"{error} in {event['app']}" if event.get("app") else error][0] += 1

    def parts(self) -> dict[Part, Vitals]:
        kept = {view.name: view.contributors for view in self.made.views}
        return {part: bill.vitals(kept[part[0]]) for part, bill in self.bills.items()}

    def all(self) -> dict[Place, Vitals]:
        return wholes(self.parts())


Content = dict[Part, dict[str, tuple[int, bytes]]]
"""Part → source → version and vitals: what merge would keep."""


def keep(content: Content, messages: Iterable[Message]) -> Content:
    """Take frames in as merge does: of each source the greatest version; at one version all bytes are equal."""
    for message in messages:
        if message.topic is Topic.PARTIALS:
            frame = sent_frames.read(message.value)
            assert message.key == frame.source.encode()
            assert message.partition == frame.shard < frame.shards
            _keep_frame(content, frame)
    return content


def _keep_frame(content: Content, frame: Frame) -> None:
    for entry in (*frame.entries, *frame.late):
        assert isinstance(entry.vitals, bytes)
        quarter = entry.quarter if isinstance(entry, LateEntry) else ON_TIME
        had = content.setdefault((entry.view, entry.series, entry.pane, quarter), {})
        version, vitals = had.get(frame.source, (-1, b""))
        if version == frame.version:
            assert vitals == entry.vitals, "one version, two contents"
        elif version < frame.version:
            had[frame.source] = (frame.version, entry.vitals)


def parts(content: Content) -> dict[Part, Vitals]:
    """All sources added up."""
    return {
        part: merged([Vitals.unpack(vitals) for _, vitals in found.values()])
        for part, found in content.items()
    }


def summed(content: Content) -> dict[Place, Vitals]:
    """All sources added up, late calls too."""
    return wholes(parts(content))


def wholes(found: dict[Part, Vitals]) -> dict[Place, Vitals]:
    """Late calls added to the others of their pane."""
    together: dict[Place, list[Vitals]] = defaultdict(list)
    for (view, series, pane, _), vitals in found.items():
        together[view, series, pane].append(vitals)
    return {place: merged(every) for place, every in together.items()}


def logged(log: Iterable[tuple[int, Any]], first: int = 0) -> list[Logged]:
    """Records of (Kafka time in µs, event); events are JSON, bytes as they are."""
    return [
        Logged(offset, kafka // 1_000, event if isinstance(event, bytes) else json.dumps(event).encode())
        for offset, (kafka, event) in enumerate(log, first)
    ]


def event(number: int, time: int, **more: Any) -> dict[str, Any]:
    return {"id": f"e{number}", "ts": time // 1_000, "model": "m", "app": "a"} | more


maybe_tokens = st.none() | st.integers(0, 100_000)
events = st.fixed_dictionaries(
    {"model": st.sampled_from(["m", "n", "free"]), "app": st.sampled_from(["a", "b", "c", None])},
    optional={
        "operation": st.sampled_from(["chat", "embedding", "tool", "guardrail", "evaluation", "retrieval", "outcome"]),
        "input_tokens": maybe_tokens, "output_tokens": maybe_tokens, "cached_tokens": st.integers(0, 10),
        "latency_ms": st.integers(0, 40_000).map(lambda n: n / 8), "ttft_ms": st.integers(0, 1_000),
        "input_bytes": st.integers(0, 1_000), "stream": st.booleans(), "cache_hit": st.booleans(), "status": st.sampled_from(["ok", "error"]),
        "error_type": st.none() | st.sampled_from(["timeout", "rate_limit"]),
        "finish_reason": st.sampled_from(["stop", "length", "max_tokens", "content_filter", "refusal", "SAFETY"]),
        "toxicity": st.integers(0, 64).map(lambda n: n / 64),
        "guardrails": st.lists(st.fixed_dictionaries({"name": st.sampled_from(["g", "LLM Guard Toxicity"]), "verdict": st.sampled_from(["pass", "flag", "block"])}, optional={"score": st.integers(0, 64).map(lambda n: n / 64)}), max_size=2),
        "retrieval": st.fixed_dictionaries({"documents": st.integers(0, 5)}, optional={"top_score": st.integers(-64, 64).map(lambda n: n / 64), "latency_ms": st.integers(0, 40_000).map(lambda n: n / 8)}),
        "user": st.sampled_from(["u1", "u2", ""]), "session": st.sampled_from(["s1", "s2", "s3"]),
        "tools": st.lists(st.fixed_dictionaries({"name": st.sampled_from(["find", "mail"])}, optional={"arguments_hash": st.sampled_from(["1", "2"])}), max_size=3),
        "scores": st.dictionaries(st.sampled_from(["good", "judge", "kind"]) | st.integers(0, 40).map("s{}".format), st.integers(-64, 64).map(lambda n: n / 64), max_size=5),
        "key": st.just("k"), "prompt_name": st.sampled_from(["p", "q", ""]), "prompt_version": st.sampled_from(["v1", "v2"]),
        "response_id": st.sampled_from(["r1", "r2", ""]), "instrumentor": st.sampled_from(["one", "two"]),
        "trace_id": st.sampled_from(["t1", "t2"]), "span_id": st.sampled_from(["1", "2", "3"]), "parent_id": st.sampled_from(["1", "2", ""]), "tags": st.fixed_dictionaries({}, optional={"region": st.sampled_from(["eu", "us"])}),
    },
)  # fmt: skip
"""A call's fields but for id and time; numbers are exact in binary, so that two ways of rounding agree."""

steps = st.lists(
    st.tuples(
        st.sampled_from([0, 0, 1, 1, 2, 5, 25]),
        st.sampled_from([0, 0, 0, 1, 3, 6, 9, 15, 40, -4, -30, -90]),
        st.sampled_from(
            ["call"] * 9
            + ["again", "again later", "twin", "poison", "bug", "seconds", "several", "tombstone"]
        ),
        events,
    ),
    max_size=40,
)


def told(found: list[tuple[int, int, str, dict[str, Any]]]) -> list[Logged]:
    """A log of `steps`: seconds since the one before, seconds before its Kafka time, what it is, a call."""
    kafka = START
    log: list[tuple[int, Any]] = []
    for number, (gap, lag, kind, fields) in enumerate(found):
        kafka += gap * SECOND
        call: dict[str, Any] = {"id": f"e{number}", "ts": (kafka - lag * SECOND) // 1_000} | fields
        if kind.startswith("again") and log and isinstance(log[-1][1], dict):
            kafka += (0 if kind == "again" else 30) * SECOND
            call = log[-1][1]
        if kind == "twin" and log and isinstance(log[-1][1], dict):
            call = log[-1][1] | {
                "id": f"t{number}",
                "ts": log[-1][1]["ts"] + len(log) * 300,
                "instrumentor": "three",
            }
        said: dict[str, Any] = {
            "poison": b"\xff{", "tombstone": b"", "bug": call | {"model": "bug"}, "seconds": call | {"ts": call["ts"] // 1_000},
            "several": [call, None, call | {"id": f"x{number}", "ts": call["ts"] + 20_000}, call],
        }  # fmt: skip
        log.append((kafka, said.get(kind, call)))
    return logged(log)


logs = steps.map(told)
