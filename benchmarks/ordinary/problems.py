"""The twelve problems: what they do to the calls of an app, and which starter rules may find them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

    from benchmarks.ordinary.company import Company

SOON: Final = 2
"""Hours within which an urgent problem is to be found with 20,000 calls a day."""
HOURS: Final = {20_000: 24, 3_000: 72, 500: 168}
"""Calls a day → hours within which the others are to be found."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """factor: what is multiplied → by what, in the calls of the company's first app. See traffic.Calls.

    rules: one of them has to fire. needs: the field without which a company can't have it. least: what that
    app needs at least of a number, so that it shows.
    """

    name: str
    text: str
    rules: frozenset[str]
    factor: Mapping[str, float]
    least: Mapping[str, float]
    needs: str = ""
    urgent: bool = False

    def happens_to(self, company: Company) -> bool:
        """Whether the company's calls can show it."""
        if self.name == "loop":
            return any(app.tools for app in company.apps) and "session" not in company.without
        if self.name == "absence":  # in a file without calls no time passes
            return len(company.apps) > 1
        enough = all(getattr(company.main, name) >= least for name, least in self.least.items())
        return enough and self.needs not in company.without

    def limit(self, calls: int) -> int:
        """Hours within which it is to be found at so many calls a day."""
        size = min(HOURS, key=lambda size: abs(size - calls))
        return SOON if self.urgent and size == max(HOURS) else HOURS[size]


def _problem(
    name: str,
    text: str,
    rules: str,
    *,
    least: Mapping[str, float] | None = None,
    needs: str = "",
    urgent: bool = False,
    **factor: float,
) -> Problem:
    return Problem(
        name=name,
        text=text,
        rules=frozenset(rules.split()),
        factor=factor,
        least=least or {},
        needs=needs,
        urgent=urgent,
    )


PROBLEMS: Final = (
    _problem(
        "errors",
        "2.5 times as many errors: 1 % → 2.5 %",
        "ErrorRegression AppErrors ProviderFails SomethingChanged",
        least={"errors": 0.005},
        errors=2.5,
    ),
    _problem(
        "refusals",
        "twice as many refusals",
        "RefusalRegression RefusalRate SomethingChanged",
        least={"refusals": 0.005},
        refusals=2,
    ),
    _problem(
        "cache",
        "the cache gives 45 % of the input, not 60 %",
        "CacheRegression CacheMissed SomethingChanged CostPerCallRegression",
        least={"cache": 0.3},
        needs="cached_tokens",
        cache=0.75,
    ),
    _problem(
        "scores",
        "the judge gives 0.7, not 0.8",
        "ScoreRegression SomethingChanged",
        least={"judged": 0.05},
        needs="scores",
        scores=0.875,
    ),
    _problem(
        "latency",
        "a model takes 1.5 times as long",
        "LatencyRegression SlowAnswers StuckAnswers SomethingChanged",
        latency=1.5,
    ),
    _problem(
        "ttft",
        "the first token takes twice as long",
        "SlowFirstToken SomethingChanged",
        needs="ttft_ms",
        ttft=2,
    ),
    _problem(
        "cost",
        "a call costs 40 % more: longer prompts and answers",
        "CostPerCallRegression SomethingChanged",
        money=1.4,
    ),
    _problem("loop", "an agent calls the same tool over and over", "ToolLoop RunawaySession", urgent=True),
    _problem(
        "burn",
        "a job spends a month's budget of its team in a few days",
        "TeamMonthlyBudget CompanyHourlySpend CompanyDailyBudget",
        needs="team",
        urgent=True,
    ),
    _problem(
        "topic",
        "10 % of the calls are about something new",
        "TopicDrift",
        least={"embedded": True},
        topic=0.1,
    ),
    _problem(
        "canary",
        "a fifth of the calls gets a prompt that fails four times as often",
        "PromptCanary",
        least={"errors": 0.005},
        canary=4,
    ),
    _problem("absence", "an app makes no calls any more", "AppSilent", urgent=True),
)
