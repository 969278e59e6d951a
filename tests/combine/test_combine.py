"""Combine: calls become frames that add up to brute force, whatever the order, the batches and the crashes."""

from __future__ import annotations

import hashlib
import json
import math
import random
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import sent_frames
from brute import (
    DISORDER,
    ON_TIME,
    PANE,
    SECOND,
    START,
    VIEWS,
    Brute,
    Content,
    Place,
    decode,
    event,
    keep,
    logged,
    logs,
    parts,
    plan,
    stage,
    summed,
)  # fmt: skip
from llmvitals.combine import Combine, CombinePlan
from llmvitals.combine import pane as pane_module
from llmvitals.combine.exemplars import WorstCalls
from llmvitals.combine.sparse_sums import SHIFT, SparseValues, Sums
from llmvitals.errors import ConfigError, StateLost
from llmvitals.price.cost import Reason
from llmvitals.record.frame import Frame
from llmvitals.record.log import Logged, Message, Snapshot, Topic
from llmvitals.record.series import shard_of
from llmvitals.record.sizes import BYTES
from llmvitals.record.view import DEFAULT_VIEWS, View
from llmvitals.record.vitals import Vitals
from llmvitals.settings import load
from llmvitals.sketch.counters import SUMS
from llmvitals.window import FOREVER, NEVER, QUARTER_HOUR
from pricing import one_by_one
from sent_frames import contents

FIRST = START // PANE


def frames(messages: Sequence[Message]) -> list[Frame]:
    return sent_frames.frames(messages)


def letters(messages: Sequence[Message]) -> dict[int, str]:
    found = {}
    for message in messages:
        if message.topic is Topic.DEAD_LETTERS:
            headers = {name.removeprefix("llmvitals.err."): value.decode() for name, value in message.headers}
            found[int(headers["offset"])] = headers["code"]
    return found


def everything(
    log: Sequence[Logged], made: CombinePlan | None = None, source: str = "calls/0"
) -> dict[Place, Vitals]:
    """All that one partition counts, at once."""
    one = stage(made, source=source)
    return summed(keep({}, [*one.apply(log), *one.finish()]))


def drive(one: Combine, log: Sequence[Logged], cuts: Sequence[int], content: Content) -> list[Message]:
    """Apply in batches that end at the cuts, with all that a driver does in between."""
    out: list[Message] = []
    for low, high in zip([one.next, *cuts], [*cuts, len(log)], strict=True):
        out += one.apply([record for record in log if low <= record.offset < high])
        one.delivered(one.mark())
        out += one.flush()
    keep(content, out)
    return out


def sums(content: dict[Place, Vitals], view: str = "all") -> dict[int, dict[str, int]]:
    """Pane, counted from FIRST → all that is counted in a view without dimensions."""
    return {
        pane - FIRST: {
            name: vitals.total(name) for name in ("calls", "duplicates", "late_calls") if vitals.total(name)
        }
        for (name, _, pane), vitals in content.items()
        if name == view
    }


cuts = st.lists(st.integers(0, 40), max_size=6).map(sorted)


# What is counted


@given(
    logs,
    st.sampled_from([0, 15 * SECOND, 300 * SECOND]),
    st.sampled_from([1, 2, 1_000]),
    st.sampled_from([0, 5, 1_000]),
)
def test_panes_add_up_to_brute_force(log, horizon, most, ids):
    made = plan(dedupe_us=horizon, max_series=most, max_ids=ids)
    want = Brute(made).take(log)
    one = stage(made)
    out = [*one.apply(log), *one.finish()]
    assert letters(out) == want.letters
    assert summed(keep({}, out)) == want.all()
    assert parts(keep({}, out)) == want.parts()
    del one.counters["forgotten"]
    assert +one.counters == want.counters


@settings(max_examples=30)
@given(logs)
def test_everything_that_comes_in_is_accounted_for(log):
    one = stage()
    one.apply(log)
    total = sum(one.counters[name] for name in ("applied", "duplicate", "dead_lettered", "filtered"))
    assert one.counters["in"] == total
    assert one.counters["late"] <= one.counters["applied"]
    assert one.dead_letters.total() == one.counters["dead_lettered"]


@given(logs, cuts)
def test_batches_change_nothing(log, cuts):
    """The same frames at the same versions, the same dead letters, the same checkpoint."""
    cuts = [cut for cut in cuts if cut < len(log)]
    one, other = stage(), stage()
    whole, parted = drive(one, log, [], first := {}), drive(other, log, cuts, second := {})
    assert letters(whole) == letters(parted)
    assert one.snapshot() == other.snapshot()
    keep(first, one.finish())
    keep(second, other.finish())
    assert first == second


@pytest.mark.parametrize("seed", range(3))
def test_a_long_log_that_is_added_up_in_small_pieces(monkeypatch, seed):
    monkeypatch.setattr("llmvitals.combine.open_panes.WAITING", 50)
    monkeypatch.setattr("llmvitals.combine.interner.FULL", 20)
    monkeypatch.setattr("llmvitals.combine.exemplars._SPARE", 0)
    dice = random.Random(seed)
    calls = [
        event(
            n, START + n * SECOND // 4 - dice.choice([0, 1, 5, 12, 30]) * SECOND,
            app=dice.choice("abc"), model=dice.choice(["m", "n", "free"]), trace_id=f"t{dice.randrange(50)}",
            session=f"s{dice.randrange(40)}", user=f"u{dice.randrange(9)}", input_tokens=dice.choice([0, 10, 10, 90]),
            latency_ms=dice.choice([5, 10, dice.randrange(1_000)]),
        )
        for n in range(600)
    ]  # fmt: skip
    log = logged((START + n * SECOND // 4, call) for n, call in enumerate(calls))
    made = plan(heaviest=3)
    one, content = stage(made), {}
    drive(one, log, list(range(7, 600, 7)), content)
    keep(content, one.finish())
    want = Brute(made).take(log).parts()
    assert parts(content) == {part: vitals.cut(3) for part, vitals in want.items()}


def test_last_frames_are_the_same_in_any_batches():
    log = logged((START + n * SECOND, event(n, START + n * SECOND)) for n in range(100))
    whole = stage().apply(log)
    one = stage()
    assert [m for record in log for m in one.apply([record])] == whole
    assert {frame.version for frame in frames(whole)} == {18, 28, 38, 48, 58, 68, 78, 88, 98}


@given(logs, st.sampled_from([1, 2, 1_000]), st.sampled_from([1, 3, 4_096]), st.sampled_from([2, 1_000]))
def test_small_panes_that_are_added_up_together_have_the_frames_of_each_alone(log, small, together, most):
    made = plan(max_series=most)
    frames_of = []
    for limits in ((0, 1), (small, together)):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("llmvitals.combine.together.SMALL", limits[0])
            patch.setattr("llmvitals.combine.together.TOGETHER", limits[1])
            one = stage(made)
            frames_of.append(contents(frames([*one.apply(log), *one.finish()])))
    assert frames_of[0] == frames_of[1]


@settings(max_examples=30)
@given(logs)
def test_frames_that_are_handed_over_hold_what_messages_hold(log):
    one, other = stage(), stage(replace(plan(), packed=False))
    sent = [*one.apply(log), *one.finish()]
    assert not frames([*other.apply(log), *other.finish()])
    handed = [sent_frames.by_entry(frame) for frame in other.hand_over()]
    assert unversioned(handed) == unversioned(frames(sent))
    assert {frame.version for frame in handed} <= {frame.version for frame in frames(sent)}
    assert other.hand_over() == []


def unversioned(found):
    """What frames say of each entry. Those that are handed over have the last version of several."""
    return contents([msgspec.structs.replace(frame, version=0) for frame in found])


@given(st.data(), st.integers(1, 8))
def test_order_within_the_disorder_and_partitions_change_nothing(data, partitions):
    count = data.draw(st.integers(1, 60))
    calls = [
        event(
            n,
            START + n * SECOND,
            app="abc"[n % 3],
            user=f"u{n % 7}",
            session=f"s{n}",
            input_tokens=n * n % 97,
        )
        for n in range(count)
    ]
    want = everything(logged((call["ts"] * 1_000, call) for call in calls))
    # A call is at most as late as the disorder allows, because nobody is further away than that.
    moved = sorted(calls, key=lambda call: call["ts"] + data.draw(st.integers(0, DISORDER // 1_000)))
    parts: list[list[Any]] = [[] for _ in range(partitions)]
    for call in moved:
        parts[data.draw(st.integers(0, partitions - 1))].append((START + count * SECOND, call))
    content: Content = {}
    for number, part in enumerate(parts):
        one = stage(source=f"calls/{number}")
        keep(content, [*one.apply(logged(part)), *one.finish()])
    assert summed(content) == want


# Where calls go


def run(
    *calls: dict[str, Any] | tuple[int, Any], made: CombinePlan | None = None
) -> tuple[Combine, list[Message]]:
    one = stage(made)
    return one, one.apply(
        logged(call if isinstance(call, tuple) else (call["ts"] * 1_000, call) for call in calls)
    )


def at(number: int, second: float, **more: Any) -> dict[str, Any]:
    return event(number, START + round(second * SECOND), **more)


def test_a_late_call_goes_to_the_oldest_open_pane():
    one, out = run(at(0, 0), at(1, 40), (START + 40 * SECOND, at(2, 5)))
    assert sums(summed(keep({}, [*out, *one.finish()]))) == {
        0: {"calls": 1}, 3: {"calls": 1, "late_calls": 1}, 4: {"calls": 1},
    }  # fmt: skip


def late(content: Content) -> dict[int, dict[int, int]]:
    """Pane, counted from FIRST → quarter of an hour, counted from START's → late calls of the view `all`."""
    found: dict[int, dict[int, int]] = defaultdict(dict)
    for (name, _, pane, quarter), vitals in parts(content).items():
        if name == "all" and quarter != ON_TIME:
            found[pane - FIRST][quarter - START // QUARTER_HOUR] = vitals.total("calls")
    return found


def test_late_calls_are_apart_by_the_quarter_of_an_hour_of_their_own_time():
    now = START + 7_200 * SECOND
    one, out = run(
        at(0, 0), at(1, 7_200), *((now, at(2 + n, second)) for n, second in enumerate((5, 99, 101)))
    )
    content = keep({}, [*out, *one.finish()])
    assert late(content) == {719: {0: 2, 1: 1}}
    assert sums(summed(content))[719] == {"calls": 3, "late_calls": 3}
    assert {part[2:] for part in content if part[0] == "all"} == {
        (FIRST, ON_TIME), (FIRST + 719, START // QUARTER_HOUR), (FIRST + 719, START // QUARTER_HOUR + 1),
        (FIRST + 720, ON_TIME),
    }  # fmt: skip


def test_a_copy_that_comes_late_is_no_late_call():
    made = plan(dedupe_us=100 * SECOND)
    one, out = run(at(0, 0), at(1, 40), (START + 40 * SECOND, at(0, 0)), made=made)
    content = keep({}, [*out, *one.finish()])
    assert sums(summed(content))[3] == {"duplicates": 1}
    assert not late(content)


def test_late_calls_of_more_quarters_than_a_pane_keeps_count_in_the_next_later_one(monkeypatch):
    monkeypatch.setattr(pane_module, "QUARTERS", 3)
    now = START + 90_000 * SECOND
    hours = [9, 5, 7, 2, 6, 7, 12]
    calls = [(now, at(2 + n, hour * 3_600)) for n, hour in enumerate(hours)]
    whole, out = run(at(0, 0), at(1, 90_000), *calls)
    content = keep({}, [*out, *whole.finish()])
    # 9, 5 and 7 o'clock are kept; 2 counts at 5, 6 at 7, and 12, which none of them follows, at 9.
    assert [*late(content).values()] == [{9 * 4: 2, 5 * 4: 2, 7 * 4: 3}]
    assert sum(one["calls"] for one in sums(summed(content)).values()) == 2 + len(hours)
    pieces, split = stage(), Content()
    log = logged([(START, at(0, 0)), (START + 90_000 * SECOND, at(1, 90_000)), *calls])
    drive(pieces, log, [1, 2, 3, 4, 5, 6], split)
    keep(split, pieces.finish())
    assert parts(split) == parts(content)


def test_an_older_merge_refuses_frames_with_blocks_and_reads_heartbeats():
    one, out = run(at(0, 0), at(1, 40))
    tags = [msgspec.msgpack.decode(message.value or b"")[0] for message in [*out, *one.finish()]]
    assert tags == [3] * tags.count(3) + [1] * 3


def test_a_call_from_the_future_is_a_dead_letter_and_moves_nothing():
    one, out = run(at(0, 0), (START, at(1, 86_400)), at(2, 1))
    assert letters(out) == {1: "future"}
    assert one.watermark == START + SECOND - DISORDER
    assert one.counters["late"] == 0


def test_a_clock_that_runs_ahead_a_little_makes_nobody_late():
    one, _ = run(at(0, 0), (START, at(1, 50)), at(2, 1))
    assert one.counters == Counter({"in": 3, "applied": 3})


def test_without_a_kafka_time_the_call_is_believed():
    one = stage()
    one.apply([Logged(0, -1, json.dumps(at(0, 7)).encode())])
    assert one.watermark == START + 7 * SECOND - DISORDER


def test_seconds_taken_for_milliseconds_are_a_dead_letter():
    assert letters(run((START, event(0, START // 1_000)))[1]) == {0: "past"}


def test_a_copy_is_dropped_within_its_pane_and_late_after_it():
    one, out = run(
        at(0, 0), at(0, 0), at(1, 40), (START + 40 * SECOND, at(0, 0)), (START + 40 * SECOND, at(0, 0))
    )
    assert sums(summed(keep({}, [*out, *one.finish()]))) == {
        0: {"calls": 1, "duplicates": 1}, 3: {"calls": 1, "duplicates": 1, "late_calls": 1}, 4: {"calls": 1},
    }  # fmt: skip


def test_a_copy_is_known_for_as_long_as_the_horizon_says():
    made = plan(dedupe_us=30 * SECOND)
    late = [(START + s * SECOND, at(0, 0)) for s in (40, 59)]
    one, _ = run(at(0, 0), at(1, 40), late[0], at(2, 59), late[1], made=made)
    assert one.counters["duplicate"] == 2
    one, _ = run(at(0, 0), at(1, 90), (START + 90 * SECOND, at(0, 0)), made=made)
    assert one.counters["duplicate"] == 0


def test_series_beyond_the_limit_become_other_in_the_order_of_the_log():
    made = plan(views=(View("app", ("app",)),), max_series=2)
    one, _ = run(*(at(n, 0, app=app) for n, app in enumerate("badbcad")), made=made)
    found = {
        series: vitals.total("calls") for (_, series, _), vitals in summed(keep({}, one.finish())).items()
    }
    assert found == {("b",): 2, ("a",): 2, ("_other",): 3}


def test_names_are_made_fit_to_be_shown():
    made = plan(views=(View("app", ("app",)),))
    one, _ = run(at(0, 0, app="a\u202eb\x00"), at(1, 0, app="x" * 128), at(2, 0, app=""), made=made)
    series = {series for _, series, _, _ in keep({}, one.finish())}
    assert series == {("ab",), ("x" * 128,), ("unknown",)}


SPELLINGS = {
    "search": (
        "search",
        " search\t",
        "se\u200barch",
        "\ufeffsearch",
        "sea\u00adrch",
        "s\u202eearch",
        "search\x00",
    ),
    "caf\u00e9": ("caf\u00e9", "cafe\u0301", "cafe\u200d\u0301", "caf\u00e9\u00a0"),
    "\uac00": ("\uac00", "\u1100\u1161"),
    "new york": ("new york", "new\u00a0york", "new\u3000 york", "new\nyork"),
    "unknown": ("", " ", "\u200b", "\x00", "unknown"),
    "a\ufffd": ("a\ue000", "a\ufffd"),
}
"""A name → how callers may spell it."""


@pytest.mark.parametrize(("name", "spellings"), SPELLINGS.items())
def test_names_that_look_the_same_are_one_series(name: str, spellings: tuple[str, ...]) -> None:
    made = plan(views=(View("team", ("team",)), View("tag", ("tags.team",)), View("all", contributors=True)))
    calls = [at(n, 0, team=team, user=team, tags={"team": team}) for n, team in enumerate(spellings)]
    one, _ = run(*calls, made=made)
    found = summed(keep({}, one.finish()))
    assert {place[:2]: vitals.total("calls") for place, vitals in found.items()} == {
        ("team", (name,)): len(spellings), ("tag", (name,)): len(spellings), ("all", ()): len(spellings),
    }  # fmt: skip
    users = found["all", (), FIRST].contributors["user"]
    assert users.keys() == {name}


def test_names_are_cut_after_they_are_made_one() -> None:
    made = plan(views=(View("app", ("app",)),))
    one, _ = run(at(0, 0, app="e\u0301" * 64), at(1, 0, app="\u00e9" * 64), made=made)
    assert {series for _, series, _, _ in keep({}, one.finish())} == {("\u00e9" * 64,)}


def test_a_caller_who_is_called_other_is_watched_like_anyone():
    made = plan(views=(View("app", ("app",)),), max_series=1)
    one, _ = run(*(at(n, 0, app=app) for n, app in enumerate(["_other", "b", "_other"])), made=made)
    found = {
        series: vitals.total("calls") for (_, series, _), vitals in summed(keep({}, one.finish())).items()
    }
    assert found == {("_other_",): 2, ("_other",): 1}


def test_only_the_heaviest_contributors_are_kept_and_ties_go_by_name():
    calls = [at(n, 0, session=f"s{n:02}", input_tokens=[5, 9, 9, 9, 1][n % 5]) for n in range(25)]
    one, _ = run(*calls, made=plan(heaviest=3))
    vitals = summed(keep({}, one.finish()))["all", (), FIRST]
    assert vitals.contributors["session"] == dict.fromkeys(("s01", "s02", "s03"), (1, 90, 9, 90, 0, 0))


def test_a_tool_counts_as_often_as_it_is_asked_for_and_only_where_contributors_are_kept():
    find = {"name": "find", "arguments_hash": "ab12"}
    calls = [
        at(0, 0, tools=[find, find, {"name": "mail"}], input_tokens=7),
        at(1, 0, tools=[find], latency_ms=3),
        at(2, 0, tools=[{"name": ""}, {"name": "", "arguments_hash": "ab12"}]),
        at(3, 0, tools=[find], operation="tool"),
        at(0, 0, tools=[find]),
    ]
    one, _ = run(*calls)
    found = summed(keep({}, one.finish()))
    assert found["all", (), FIRST].contributors["tool"] == {
        "find#ab12": (3, 0, 0, 0, 0, 0),
        "mail": (1, 0, 0, 0, 0, 0),
        "#ab12": (1, 0, 0, 0, 0, 0),
    }
    assert found["app_model", ("a", "m"), FIRST].contributors == {}


def test_failed_calls_are_counted_by_error_type_and_app_and_others_never():
    long = "x" * 200
    calls = [
        at(0, 0, status="error", error_type="rate_limit", app="chat", input_tokens=7, latency_ms=3),
        at(1, 0, status="error", error_type="rate_limit", app="chat"),
        at(2, 0, status="error", error_type="time\u202eout", app=None),
        at(3, 0, status="error", app="search"),
        at(4, 0, status="error", error_type=long, app="search"),
        at(5, 0, status="ok", error_type="rate_limit", app="chat"),
        at(6, 0, status="error", error_type="rate_limit", app="chat", operation="tool"),
        at(0, 0, status="error", error_type="rate_limit", app="chat"),
    ]
    one, _ = run(*calls)
    found = summed(keep({}, one.finish()))
    assert found["all", (), FIRST].contributors["error"] == {
        "rate_limit in chat": (2, 0, 0, 0, 0, 0),
        "timeout": (1, 0, 0, 0, 0, 0),
        "unknown in search": (1, 0, 0, 0, 0, 0),
        f"{'x' * 128} in search": (1, 0, 0, 0, 0, 0),
    }
    well, _ = run(at(0, 0), at(1, 0))
    assert "error" not in summed(keep({}, well.finish()))["all", (), FIRST].contributors


def test_scores_of_calls_and_of_evaluations_add_up_by_name():
    calls = [
        at(0, 0, scores={"helpful": 0.25, "rank": -3}),
        at(1, 0, operation="evaluation", model="judge", scores={"helpful": 1, "huge": 1e12, "": 1}),
        at(2, 0, operation="evaluation", model="judge"),
        at(0, 0, scores={"helpful": 0.25}),
    ]
    one, _ = run(*calls)
    assert (one.counters["applied"], one.counters["filtered"], one.counters["duplicate"]) == (2, 1, 1)
    vitals = summed(keep({}, one.finish()))["all", (), FIRST]
    assert vitals.scores == {
        "helpful": (2, 1_250_000, 1_062_500),
        "rank": (1, -3_000_000, 9_000_000),
        "huge": (1, 10**12, 10**12),
    }
    assert vitals.total("calls") == 1


def totals(*calls, names):
    one, _ = run(*calls)
    vitals = summed(keep({}, one.finish()))["all", (), FIRST]
    return {name: total for name in names if (total := vitals.total(name))}


@pytest.mark.parametrize(
    ("said", "refused"),
    [
        *(
            ({"finish_reason": said}, 1)
            for said in ("content_filter", "refusal", "SAFETY", "guardrail_intervened")
        ),
        *(({"finish_reason": said}, 0) for said in ("stop", "length", "tool_calls", "error", "")),
        ({"status": "error", "error_type": "ContentPolicyViolationError"}, 1),
        ({"status": "error", "error_type": "content_filter", "finish_reason": "content_filter"}, 1),
        ({"status": "error", "error_type": "RateLimitError"}, 0),
        ({"status": "ok", "error_type": "content_filter"}, 0),
        ({"operation": "tool", "finish_reason": "refusal", "toxicity": 0}, 0),
    ],
)
def test_a_refusal_is_told_by_how_a_call_ended(said, refused):
    assert totals(at(0, 0, **said), names=["refused_calls"]).get("refused_calls", 0) == refused


def test_what_guardrails_said_counts_with_the_call_and_by_itself():
    names = (
        "calls",
        "guarded_calls",
        "guardrail_flags",
        "guardrail_blocks",
        "toxicity_count",
        "toxicity_micro",
    )
    toxic = {"name": "LLM Guard Toxicity", "verdict": "flag", "score": 0.75}
    assert totals(
        at(0, 0, guardrails=[{"name": "pii", "verdict": "pass"}, toxic]),
        at(
            1,
            0,
            guardrails=[
                {"name": "pii", "verdict": "block"},
                {"name": "toxic", "verdict": "pass", "score": 7},
            ],
        ),
        at(2, 0, operation="guardrail", guardrails=[{"name": "pii", "verdict": "pass"}]),
        at(3, 0, toxicity=0.25, guardrails=[toxic]),
        at(4, 0, guardrails=[]),
        names=names,
    ) == dict(zip(names, (4, 4, 2, 1, 2, 1_000_000), strict=True))


def test_a_search_is_counted_and_is_no_call():
    names = ("calls", "retrievals", "empty_retrievals", "documents", "retrieval_us", "retrieval_count",
             "top_score_micro", "top_score_count", "latency_count")  # fmt: skip
    assert totals(
        at(0, 0, operation="retrieval", latency_ms=9, retrieval={"documents": 3, "top_score": -0.5}),
        at(1, 0, operation="retrieval", retrieval={"documents": 0, "latency_ms": 12.5}),
        at(2, 0, retrieval={"documents": 4, "top_score": 1e300}),
        names=names,
    ) == dict(zip(names[:-1], (1, 3, 1, 7, 12_500, 1, 10**12 - 500_000, 2), strict=True))


def test_an_evaluation_that_could_not_score_says_that_and_nothing_else():
    unscored = {"operation": "evaluation", "model": "svm", "status": "error", "error_type": "unscored"}
    assert totals(at(0, 0, **unscored), at(1, 0), names=SUMS) == totals(at(1, 0), names=SUMS) | {
        "unscored_calls": 1
    }
    one, _ = run(at(0, 0, **unscored | {"error_type": "Timeout"}), at(1, 0, operation="tool"))
    assert (one.counters["applied"], one.counters["filtered"]) == (1, 1)


def test_an_evaluation_with_a_label_and_no_number_counts():
    labelled = {"operation": "evaluation", "model": "", "labelled": "relevance"}
    assert totals(at(0, 0, **labelled), names=SUMS) == {"evaluations": 1}


def test_logarithms_are_summed_call_by_call():
    names = ("log_input", "log_input_square", "log_output", "free_calls", "log_cost")
    costs = [round(math.log(10 * tokens) * 10_000) for tokens in (100, 700)]
    logs = [round(math.log(1 + tokens) * 10_000) for tokens in (100, 700, 100)]
    assert totals(
        at(0, 0, input_tokens=100),
        at(1, 0, input_tokens=700),
        at(2, 0, input_tokens=100, cache_hit=True),
        at(3, 0),
        names=names,
    ) == {
        "log_input": sum(logs), "log_input_square": sum(log * log for log in logs),
        "free_calls": 2, "log_cost": sum(costs),
    }  # fmt: skip


def test_of_many_scores_the_first_by_name_are_kept_whole():
    calls = [at(n, 0, scores={f"s{(n + m) % 60:02}": m for m in range(40)}) for n in range(60)]
    one, _ = run(*calls)
    vitals = summed(keep({}, one.finish()))["all", (), FIRST]
    assert list(vitals.scores) == [f"s{n:02}" for n in range(32)]


def test_many_contributors_stay_out_of_early_frames_and_come_with_the_last(monkeypatch):
    monkeypatch.setattr("llmvitals.combine.table.EARLY", 20)
    one, _ = run(*(at(n, 0, session=f"s{n}") for n in range(30)))
    early = summed(keep({}, one.flush()))["all", (), FIRST]
    last = summed(keep({}, one.finish()))["all", (), FIRST]
    assert (early.total("calls"), early.contributors) == (30, {})
    assert len(last.contributors["session"]) == 30


def test_of_many_contributors_early_frames_have_the_tools_which_rules_read(monkeypatch):
    monkeypatch.setattr("llmvitals.combine.table.EARLY", 20)
    tools = [{"name": "search"}]
    one, _ = run(*(at(n, 0, session=f"s{n}", tools=tools) for n in range(30)))
    early = summed(keep({}, one.flush()))["all", (), FIRST]
    assert {kind: [share[0] for share in of.values()] for kind, of in early.contributors.items()} == {
        "tool": [30]
    }


def test_early_entries_have_what_rules_read_and_the_last_ones_replace_them_without_a_further_call():
    one, _ = run(at(0, 0, latency_ms=700, scores={"s": 1.0}))
    content = keep({}, one.flush())
    few = summed(content)["all", (), FIRST]
    one.promise(START + 20 * SECOND)
    whole = summed(keep(content, one.flush()))["all", (), FIRST]
    assert (few.sums, few.exemplars) == (whole.sums, whole.exemplars)
    assert (few.quantile("latency_ms", 0.5), few.scores) == (None, {})
    assert whole.quantile("latency_ms", 0.5) == pytest.approx(700, rel=0.02)
    assert whole.scores


# Dead letters


def test_a_dead_letter_says_where_and_why_but_not_what():
    secret = b'{"id": "x", "ts": "sk-secret", "model": "m"}'
    _, out = run((START, secret))
    (letter,) = out
    assert letter.topic is Topic.DEAD_LETTERS
    assert letter.key == b"calls/0/0"
    assert json.loads(letter.value or b"") == {
        "sha256": hashlib.sha256(secret).hexdigest(),
        "size": len(secret),
    }
    headers = {name.removeprefix("llmvitals.err."): value for name, value in letter.headers}
    assert headers | {"message": b""} == {
        "topic": b"calls", "partition": b"0", "offset": b"0", "timestamp": str(START // 1_000).encode(),
        "stage": b"combine", "code": b"invalid", "message": b"",
    }  # fmt: skip
    assert b"secret" not in repr(letter).encode()


def test_the_body_is_kept_if_that_is_opted_in():
    made = plan(dead_letter_bodies=True)
    bodies = [json.loads(m.value or b"") for m in run((START, b"{oops"), (START, b"\xff"), made=made)[1]]
    assert [body.get("body", body.get("body_base64")) for body in bodies] == ["{oops", "/w=="]


def test_a_record_too_large_is_refused_unread():
    made = plan(max_batch_bytes=100, native=None, decode=lambda *_: pytest.fail("it was read"))
    _, out = run((START, b" " * 101), made=made)
    assert letters(out) == {0: "too_large"}


def test_bad_utf8_in_a_field_that_nobody_reads_is_not_missed():
    value = json.dumps(at(0, 0) | {"more": "?"}).encode().replace(b"?", b"\xff")
    asked = []
    run((START, value), made=plan(decode=lambda value, _: asked.append(value) or decode(b"[]")))
    assert asked == [value]


def test_a_defect_costs_only_the_call_it_is_in():
    one, out = run(at(0, 0), at(1, 0, model="bug"), at(2, 0))
    assert letters(out) == {1: "internal"}
    assert (one.counters["applied"], one.dead_letters) == (2, Counter(internal=1))


def test_a_number_that_no_column_can_hold_is_a_defect_of_one_call():
    made = plan(assess=one_by_one(lambda call: (2**70 if call.id == "e1" else 5, Reason.GIVEN, 5)))
    assert letters(run(at(0, 0), at(1, 0), at(2, 0), made=made)[1]) == {1: "internal"}


# The parts that add up


def worst(
    pieces: Sequence[Sequence[tuple[int, int, str]]], rows_end: int
) -> list[tuple[tuple[int, str], ...]]:
    """The worst of each row, after pieces of (row, value, trace id)."""
    found = WorstCalls()
    for calls in pieces:
        rows, values, ids = zip(*calls, strict=True)
        found.add(np.array(rows, np.int64), np.array(values, np.int64), ids, rows_end)
    top = found.by_row(rows_end)
    return [top(row) for row in range(rows_end)]


@pytest.mark.parametrize("spare", [-10, -5, 0])
def test_the_worst_are_found_among_equals_in_any_pieces(monkeypatch, spare):
    monkeypatch.setattr("llmvitals.combine.exemplars._SPARE", spare)
    for seed in range(500):
        dice = random.Random(seed)
        ids, most = "abcdefghijkl"[: dice.choice([3, 8, 12])], dice.choice([3, 6, 12])
        pieces = [
            [(dice.randrange(2), dice.randint(0, most), dice.choice(ids)) for _ in range(dice.randint(1, 14))]
            for _ in range(dice.randint(1, 8))
        ]
        for row, top in enumerate(worst(pieces, 2)):
            found = {(-value, name) for calls in pieces for at, value, name in calls if at == row and value}
            assert top == tuple((-value, name) for value, name in sorted(found)[:3])


def test_what_leads_among_equals_is_forgotten_when_the_bar_rises(monkeypatch):
    monkeypatch.setattr("llmvitals.combine.exemplars._SPARE", -2)
    pieces = [
        [(0, 1, name) for name in "bcdef"],
        [(0, 4, "z"), (0, 3, "z")],
        [(0, 2, "x"), (0, 2, "y")],
        [(0, 2, "c")],
    ]
    assert worst(pieces, 1) == [((4, "z"), (3, "z"), (2, "c"))]


@given(
    st.lists(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 9)), min_size=1, max_size=40), max_size=12)
)
def test_sparse_sums_are_those_of_a_dictionary(pieces):
    """Labels go beyond 16 bits, which is how much is sorted at once."""
    want: Counter[tuple[int, int]] = Counter()
    sums, labels = Sums(2), np.arange(100_000) * 3
    for piece in pieces:
        rows, codes = (np.array(column, np.int64) for column in zip(*piece, strict=True))
        values = np.stack((np.ones_like(codes), codes))
        sums.add(rows, 4, SparseValues.of(np.arange(len(rows)), codes * 11_000, labels, values))
        want.update((row, code * 33_000) for row, code in piece)
    found, values, edges = sums.cut(np.arange(5) << SHIFT)
    for row in range(4):
        mine = slice(edges[row], edges[row + 1])
        assert found[mine].tolist() == sorted(label for at, label in want if at == row)
        for label, count, total in zip(found[mine], *values[:, mine], strict=True):
            assert (count, total) == (want[row, label], want[row, label] * label // 33_000)


# Frames, floors, acknowledgements


def test_frames_go_to_the_shard_of_their_series_and_stay_small():
    made = plan(views=(View("session", ("session",)),), max_series=10**6)
    one, _ = run(
        *(at(n, 0, session=f"{n:0100}", latency_ms=n, toxicity=0.1) for n in range(12_000)), made=made
    )
    out = one.finish()
    assert max(len(message.value or b"") for message in out) < BYTES * 1.1
    found = frames(out)
    assert len(found) > made.shards * 2
    for frame in found:
        assert {shard_of(entry.view, entry.series, 3) for entry in frame.entries} <= {frame.shard}
    assert sum(len(frame.entries) for frame in found) == 12_000


def test_the_floor_rises_only_once_the_frames_below_are_acknowledged():
    one, out = run(at(0, 0), at(1, 40))
    assert {frame.floor for frame in frames(out)} == {NEVER}
    assert {frame.floor for frame in frames(one.flush())} == {NEVER}
    one.delivered(one.mark())
    told = frames(one.flush())
    assert {frame.floor for frame in told} == {FIRST + 3}
    assert {frame.shard for frame in told} == {0, 1, 2}, "every shard learns it"
    assert one.flush() == [], "and once is enough"


def test_a_mark_does_not_cover_what_was_given_out_after_it():
    one, _ = run(at(0, 0), at(1, 40))
    mark = one.mark()
    one.apply(logged([(START + 80 * SECOND, at(2, 80))], 2))
    one.delivered(mark)
    assert one.floor == FIRST + 3
    assert {frame.floor for frame in frames(one.flush())} == {FIRST + 3}


def test_only_eager_views_are_sent_early_and_only_what_changed():
    one, _ = run(at(0, 0, app="a"), at(1, 0, app="b"))
    assert {(e.view, e.series) for f in frames(one.flush()) for e in f.entries} == {
        ("all", ()), ("app_model", ("a", "m")), ("app_model", ("b", "m")),
    }  # fmt: skip
    one.apply(logged([(START, at(2, 0, app="b"))], 2))
    changed = frames(one.flush())
    assert {(e.view, e.series) for f in changed for e in f.entries} == {
        ("all", ()),
        ("app_model", ("b", "m")),
    }
    assert {frame.version for frame in changed} == {2}


def test_the_end_lets_nobody_wait():
    one, _ = run(at(0, 0))
    out = frames(one.finish())
    assert {frame.shard for frame in out if frame.floor == FOREVER} == {0, 1, 2}
    assert one.watermark == START - DISORDER


# Promises


def test_a_promise_closes_panes_and_makes_what_comes_below_it_late():
    one, out = run(at(0, 0))
    assert out == []
    one.promise(START + 20 * SECOND)
    assert sums(summed(keep({}, one.flush()))) == {0: {"calls": 1}}
    one.delivered(one.mark())
    assert one.floor == FIRST + 2
    one.apply(logged([(START + SECOND, at(1, 1))], 1))
    assert sums(summed(keep({}, one.finish()))) == {2: {"calls": 1, "late_calls": 1}}


def test_a_promise_that_says_nothing_new_changes_nothing():
    one, _ = run(at(0, 40))
    before = one.snapshot()
    one.promise(START + 30 * SECOND)
    assert one.snapshot() == before


def test_the_first_promise_of_an_empty_partition_is_kept():
    one = stage()
    assert one.watermark == NEVER
    one.promise(START)
    again = stage(parts=one.snapshot().parts)
    assert again.watermark == NEVER, "or the next promise would be made by this one"
    again.delivered(again.mark())
    again.flush()
    again.delivered(again.mark())
    assert {frame.floor for frame in frames(again.flush())} == {FIRST}


# Crashes


def crash(
    log: list[Logged], data: st.DataObject, made: CombinePlan
) -> tuple[Combine, Content, dict[int, str], list[tuple[int, int]]]:
    """A life in which the driver may die after any step; what was written down is all that is left."""
    saved = Snapshot(0)
    content: Content = {}
    found: dict[int, str] = {}
    promises: list[tuple[int, int]] = []
    one, reached = stage(made), 0
    while one.next < len(log):
        act = data.draw(
            st.sampled_from(["apply"] * 6 + ["flush", "checkpoint", "promise", "crash", "unsent"])
        )
        if act == "apply":
            out = one.apply(log[one.next : one.next + data.draw(st.integers(1, 6))])
            one.delivered(one.mark())
            keep(content, out)
            found |= letters(out)
        elif act == "flush":
            keep(content, one.flush())
            one.delivered(one.mark())
        elif act == "checkpoint":
            saved = one.snapshot()
        elif act == "promise":
            floor = START + data.draw(st.integers(0, 200)) * SECOND
            # The driver promises only where it has caught up with the log, as it is by now.
            if one.next == reached:
                one.promise(floor)
                saved = one.snapshot()
                promises.append((one.next, floor // PANE))
        elif act == "crash":
            one = stage(made, saved.parts)
        else:
            one.apply(log[one.next : one.next + 2])
            reached = max(reached, one.next)
            one = stage(made, saved.parts)
        reached = max(reached, one.next)
    out = one.finish() if not one.replaying else pytest.fail("still replaying at the end of the log")
    keep(content, out)
    return one, content, found, promises


@settings(max_examples=200)
@given(logs, st.data(), st.sampled_from([0, 15 * SECOND, 300 * SECOND]), st.sampled_from([2, 10, 1_000]))
def test_crashes_change_nothing(log, data, horizon, ids):
    made = plan(dedupe_us=horizon, max_ids=ids)
    one, content, found, promises = crash(log, data, made)
    want = Brute(made, promises).take(log)
    assert summed(content) == want.all()
    assert parts(content) == want.parts()
    assert found == want.letters
    del one.counters["forgotten"]
    assert +one.counters == want.counters


def test_nothing_is_given_out_before_a_replay_has_caught_up():
    log = logged((START + n * SECOND, event(n, START + n * SECOND)) for n in range(20))
    log[3] = Logged(3, log[3].timestamp, b"poison")
    one = stage()
    one.apply(log[:15])
    again = stage(parts=one.snapshot().parts)
    assert again.next == 0
    assert again.replaying
    assert [*again.apply(log[:12]), *again.flush()] == []
    third = stage(parts=again.snapshot().parts)
    assert [*third.apply(log[:12]), *third.flush()] == [], "nor after a second crash"
    assert again.apply(log[12:15]) == []
    assert not again.replaying
    assert sums(summed(keep({}, again.flush()))) == {0: {"calls": 9}, 1: {"calls": 5}}
    assert again.counters == one.counters


def test_a_clean_stop_reads_again_only_what_is_open():
    log = logged((START + n * SECOND, event(n, START + n * SECOND)) for n in range(100))
    one = stage()
    one.apply(log)
    one.delivered(one.mark())
    assert one.snapshot(whole=True).offset == 90


def test_what_kafka_dropped_is_counted_as_lost():
    one, _ = run(at(0, 0), at(1, 1))
    parts = one.snapshot().parts
    again = Combine(plan(), source="calls/0", sources={"calls": 1}, parts=parts, beginning=50)
    assert (again.next, again.counters["lost"], again.replaying) == (50, 50, False)


def test_records_that_were_taken_in_already_are_skipped():
    one, _ = run(at(0, 0), at(1, 1))
    one.apply(logged((START, at(n, 0)) for n in range(3)))
    assert one.counters["in"] == 3


@pytest.mark.parametrize("change", [{"pane_us": PANE * 2}, {"disorder_us": 1}])
def test_a_checkpoint_under_other_settings_is_refused(change):
    parts = run(at(0, 0))[0].snapshot().parts
    with pytest.raises(ConfigError, match="set it back"):
        stage(plan(**change), parts)


@pytest.mark.parametrize(
    "parts", [{"manifest": b"\xc1"}, {"other": b""}, {"manifest": msgspec.msgpack.encode({})}]
)
def test_a_checkpoint_that_cannot_be_read_is_said_so(parts):
    with pytest.raises(StateLost, match="can't be read"):
        stage(parts=parts)


def test_a_checkpoint_of_a_newer_version_is_refused():
    state = msgspec.msgpack.decode(stage().snapshot().parts["manifest"])
    with pytest.raises(StateLost, match="version 2"):
        stage(parts={"manifest": msgspec.msgpack.encode(state | {"v": 2})})


def test_the_settings_make_a_plan():
    made = CombinePlan.of(
        load(pane="20s", disorder="5s", dedupe_horizon="30s", contributors=5),
        views=DEFAULT_VIEWS, shards=2, decode=decode, native=None, assess=one_by_one(lambda _: (0, Reason.PRICED, 0)),
    )  # fmt: skip
    assert (made.pane_us, made.disorder_us, made.remembered) == (20 * SECOND, 5 * SECOND, 2)
    assert made.heaviest >= 5
    assert set(made.dimensions) == {
        "team",
        "app",
        "model",
        "prompt_name",
        "prompt_version",
        "provider",
        "environment",
    }
    assert VIEWS[3].where
