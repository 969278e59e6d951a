"""Regression under storms: false alarms of quiet series, and the time until a change is found.

    python -m benchmarks.detection.regression --series 40 --only null/20000

A simulation of its own: days and weekends, hours that differ, storms of errors (bursts of 8 to 60 within some
minutes), minute by minute through the detector. A day with an outage is left out of the count.
"""

from __future__ import annotations

import argparse
import json
import time
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np

from llmvitals.record.vitals import Vitals
from llmvitals.rules.kinds.regression.spec import Regression
from llmvitals.sketch import counters, quantiles
from llmvitals.window import MINUTE

DAY: Final = 1_440
WEEK: Final = 7 * DAY
LEARNED: Final = 5
"""Days before it speaks."""
FIRST: Final = 1_780_272_000 // 60
"""Monday, 00:00 UTC, in minutes since 1970."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Traffic:
    """calls: a day. storms: a day. noise: of hours, log-sd. change: factor from `at` (minute) on."""

    calls: float
    share: float = 0.01
    storms: float = 0.0
    noise: float = 0.2
    days: float = 0.0
    at: int = 10**9
    change: float = 1.0
    creep: float = 0.0
    more_storms: float = 1.0
    weekend: float = 0.35


def rhythm(minutes: int, calls: float, weekend: float) -> np.ndarray:
    """Calls a minute that are expected: two peaks a day, less at the weekend."""
    minute = np.arange(minutes)
    hour = minute / 60 % 24
    shape = 0.15 + np.exp(-(((hour - 10.5) / 2.5) ** 2)) + 0.8 * np.exp(-(((hour - 16) / 3) ** 2))
    shape *= np.where(minute // DAY % 7 >= 5, weekend, 1.0)
    return shape / shape[:WEEK].mean() * calls / DAY


def bad_calls(rng: np.random.Generator, one: Traffic, minutes: int) -> tuple[np.ndarray, np.ndarray]:
    """Calls and bad calls of each minute."""
    hours = minutes // 60 + 1
    busy = np.repeat(rng.gamma(20, 1 / 20, hours), 60)[:minutes]
    calls = rng.poisson(rhythm(minutes, one.calls, one.weekend) * busy)
    noise = np.repeat(rng.lognormal(-(one.noise**2) / 2, one.noise, hours), 60)[:minutes]
    if one.days:
        noise *= np.repeat(rng.lognormal(-(one.days**2) / 2, one.days, minutes // DAY + 1), DAY)[:minutes]
    bad = rng.binomial(calls, np.minimum(one.share * noise * grown(one, minutes), 0.97))
    rate = np.where(np.arange(minutes) < one.at, one.storms, one.storms * one.more_storms) / DAY
    for start in np.flatnonzero(rng.random(minutes) < rate * (calls > 0)):
        left, at = int(rng.integers(8, 60)), int(start)
        while left > 0 and at < minutes:
            more = min(left, int(rng.integers(2, 15)), int(calls[at] - bad[at]))
            bad[at] += more
            left -= max(more, 1)
            at += 1
    return calls, bad


def grown(one: Traffic, minutes: int) -> np.ndarray:
    """The factor of each minute."""
    after = np.maximum(np.arange(minutes) - one.at, 0)
    return np.where(np.arange(minutes) < one.at, 1.0, one.change * (1 + one.creep) ** (after / 60))


def errors(rng: np.random.Generator, one: Traffic, minutes: int, name: str = "errors") -> Any:
    """The minutes with calls, as (minute, vitals)."""
    calls, bad = bad_calls(rng, one, minutes)
    zero, at, counted = [0] * len(counters.SUMS), counters.SUM["calls"], counters.SUM[name]
    for minute in np.flatnonzero(calls).tolist():
        sums = zero.copy()
        sums[at], sums[counted] = int(calls[minute]), int(bad[minute])
        yield minute, Vitals(tuple(sums))


def latencies(rng: np.random.Generator, one: Traffic, minutes: int) -> Any:
    """Lognormal latencies, whose hours differ; storms are minutes in which they are eight times as long."""
    calls, slow = bad_calls(rng, replace(one, share=0.0, change=1.0), minutes)
    hours = np.repeat(rng.normal(0, one.noise / 3, minutes // 60 + 1), 60)[:minutes] + np.log(
        grown(one, minutes)
    )
    daily = 0.2 * np.sin(np.arange(minutes) / DAY * 2 * np.pi)
    at, counted = counters.SUM["calls"], counters.SUM["latency_count"]
    for minute in np.flatnonzero(calls).tolist():
        ms = 900 * rng.lognormal(hours[minute] + daily[minute], 0.6, calls[minute])
        ms[: slow[minute]] *= 8
        keys, counts = np.unique(quantiles.bin_keys("latency_ms", ms), return_counts=True)
        sums = [0] * len(counters.SUMS)
        sums[at] = sums[counted] = int(calls[minute])
        yield minute, Vitals(tuple(sums), bins=(keys.astype(np.uint16), counts.astype(np.int64)))


def scores(rng: np.random.Generator, one: Traffic, minutes: int) -> Any:
    """A judge's scores around 0.8 with a deviation of 0.2; storms are scores of 0."""
    calls, poor = bad_calls(rng, replace(one, share=0.0, change=1.0), minutes)
    hours = np.repeat(rng.normal(0, one.noise / 20, minutes // 60 + 1), 60)[:minutes]
    mean = np.clip(0.8 * grown(one, minutes) + hours, 0.01, 0.99)
    for minute in np.flatnonzero(calls).tolist():
        given = rng.beta(mean[minute] * 3, (1 - mean[minute]) * 3, calls[minute])
        given[: poor[minute]] = 0
        yield minute, Vitals(scores={"judge": (len(given), int(given.sum() * 1e6), 0)})


def costs(rng: np.random.Generator, one: Traffic, minutes: int) -> Any:
    """Lognormal costs of calls; storms are calls that cost fifty times as much."""
    calls, dear = bad_calls(rng, replace(one, share=0.0, change=1.0), minutes)
    hours = np.repeat(rng.normal(0, one.noise / 3, minutes // 60 + 1), 60)[:minutes] + np.log(
        grown(one, minutes)
    )
    names = ("calls", "priced_calls", "cost_nano")
    for minute in np.flatnonzero(calls).tolist():
        usd = 0.004 * rng.lognormal(hours[minute], 0.8, calls[minute])
        usd[: dear[minute]] *= 50
        keys, counts = np.unique(quantiles.bin_keys("cost_usd_per_call", usd), return_counts=True)
        sums = [0] * len(counters.SUMS)
        for name, value in zip(names, (len(usd), len(usd), int(usd.sum() * 1e9)), strict=True):
            sums[counters.SUM[name]] = value
        yield minute, Vitals(tuple(sums), bins=(keys.astype(np.uint16), counts.astype(np.int64)))


MAKERS: Final = {
    "error_share": errors,
    "refusal_share": lambda rng, one, minutes: errors(rng, one, minutes, "refused_calls"),
    "cache_hit_share": lambda rng, one, minutes: errors(rng, one, minutes, "cache_hits"),
    "latency_p95": latencies,
    "score.judge_mean": scores,
    "cost_per_call_mean": costs,
}


def alarms(rule: Regression, minutes: Any) -> list[int]:
    """The minutes at which it fires."""
    detector, state, found = rule.detector(MINUTE, ()), dict[str, Any](), []
    for minute, vitals in minutes:
        readings = detector.take(state, FIRST + minute, vitals)
        found += [minute for reading in readings if reading.verdict == "breach"]
    return found


def null(one: Traffic, metric: str, *, weeks: int, series: int, many: int, seed: int) -> dict[str, Any]:
    """False alarms from the sixth day on; series: of which one simulates `many`."""
    rule, found = Regression(metric=metric, series=series), list[int]()
    for number in range(many):
        rng = np.random.default_rng([seed, number])
        found += alarms(rule, MAKERS[metric](rng, one, weeks * WEEK))
    months = many * (weeks * 7 - LEARNED) / 30
    return {
        "alarms": len(found),
        "on_days": sorted(minute // DAY for minute in found),
        "series_months": round(months, 1),
        "promised": round(months / series, 2),
    }


def power(one: Traffic, metric: str, *, weeks: int, series: int, many: int, seed: int) -> dict[str, Any]:
    """Hours from the change to the alarm."""
    rule, waited, early = Regression(metric=metric, series=series), [], 0
    for number in range(many):
        rng = np.random.default_rng([seed, number])
        found = alarms(rule, MAKERS[metric](rng, one, one.at + weeks * WEEK))
        early += sum(each < one.at for each in found)
        waited.append(min((each - one.at for each in found if each >= one.at), default=10**6) / 60)
    day, three, week = (sum(w <= hours for w in waited) / many for hours in (24, 72, 168))
    return {
        "median_hours": round(float(np.median(waited)), 1),
        "day": round(day, 2),
        "three_days": round(three, 2),
        "week": round(week, 2),
        "early": early,
    }


CHANGES: Final[dict[str, tuple[str, dict[str, float]]]] = {
    "errors 1 → 2.5 %": ("error_share", {"share": 0.01, "change": 2.5}),
    "refusals 3 → 6 %": ("refusal_share", {"share": 0.03, "change": 2.0}),
    "cache hits 60 → 45 %": ("cache_hit_share", {"share": 0.6, "change": 0.75, "noise": 0.05}),
    "scores 0.8 → 0.7": ("score.judge_mean", {"change": 0.875}),
    "cost per call + 30 %": ("cost_per_call_mean", {"change": 1.3}),
    "latency + 50 %": ("latency_p95", {"change": 1.5}),
    "errors 1 %, 1 % more of it an hour": ("error_share", {"share": 0.01, "creep": 0.01}),
}


def rows(args: argparse.Namespace) -> Any:
    """Each row when it is known."""
    for calls, storms in (
        (20_000, 0.0),
        (20_000, 0.5),
        (20_000, 2.0),
        (3_000, 0.5),
        (3_000, 2.0),
        (500, 0.1),
    ):
        traffic = Traffic(calls=calls, storms=storms)
        for metric in MAKERS:
            share = 0.6 if metric == "cache_hit_share" else 0.02
            one = replace(traffic, share=share, noise=0.05 if share > 0.5 else 0.2)
            yield (
                f"null/{calls}/{metric}/storms {storms}",
                lambda one=one, metric=metric: null(
                    one, metric, weeks=args.weeks, series=args.of, many=args.series, seed=args.seed
                ),
            )
    for name, (metric, more) in CHANGES.items():
        for calls in (20_000, 3_000, 500):
            one = replace(Traffic(calls=calls, storms=0.5, at=3 * WEEK + DAY + 600), **more)
            yield (
                f"power/{calls}/{name}",
                lambda one=one, metric=metric: power(
                    one, metric, weeks=1, series=args.of, many=args.series, seed=args.seed
                ),
            )


def main() -> None:
    """Print one JSON line for each row."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--series", type=int, default=10)
    parser.add_argument("--of", type=int, default=100)
    parser.add_argument("--weeks", type=int, default=6)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", nargs="*", default=[""])
    args = parser.parse_args()
    for name, run in rows(args):
        if all(part in name for part in args.only):
            began = time.perf_counter()
            print(json.dumps({"name": name, **run(), "s": round(time.perf_counter() - began, 1)}), flush=True)


if __name__ == "__main__":
    main()
