"""The four companies: their apps, and what their calls do not carry."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final, Literal

OFFICE: Final = (1, 1, 1, 1, 1, 2, 5, 12, 22, 28, 28, 26, 22, 26, 28, 26, 22, 16, 10, 7, 5, 3, 2, 1)
"""Calls by the hour of the day, UTC, as weights."""
EVENING: Final = (8, 5, 3, 2, 2, 3, 5, 8, 10, 12, 13, 14, 15, 15, 15, 15, 17, 20, 24, 26, 26, 23, 18, 12)
NIGHTLY: Final = (30, 40, 40, 30, 10, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 6, 8, 14, 20)


@dataclass(frozen=True, slots=True, kw_only=True)
class App:
    """One application. Tokens are lognormal: (median, deviation of the logarithm).

    share: of the company's calls. models: model → share of the sessions. weekend: calls of a weekend's day,
    as a share of a weekday's. session: mean calls of a session. cache: share of the calls that read from the
    provider's cache. judged: share of the calls with the score `helpful`. errors, refusals, truncated,
    blocked, toxic: shares of the calls.
    """

    name: str
    team: str
    share: float
    models: dict[str, float]
    tokens: tuple[float, float] = (900, 0.7)
    output: tuple[float, float] = (180, 0.7)
    hours: tuple[int, ...] = OFFICE
    weekend: float = 0.4
    session: float = 5
    cache: float = 0.7
    judged: float = 0.3
    errors: float = 0.01
    refusals: float = 0.015
    truncated: float = 0.02
    blocked: float = 0.01
    toxic: float = 0.01
    tools: bool = False
    embedded: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Company:
    """without: fields that no call carries. rollout: how a new prompt version comes.

    sticky, random: 15 % of the sessions, or of the calls, for two days; flip: all at once. storms: a day, in
    the mean. outages: a week, in the mean. opens: the hour (UTC) from which on problems begin, within nine.
    """

    name: str
    apps: tuple[App, ...]
    without: frozenset[str] = field(default_factory=frozenset)
    rollout: Literal["sticky", "random", "flip"] = "sticky"
    storms: float = 1.0
    outages: float = 0.3
    opens: int = 8

    @property
    def main(self) -> App:
        """The app that most problems happen to."""
        return self.apps[0]


@dataclass(frozen=True, slots=True)
class Speed:
    """provider; median ms until the first token, and of each further token."""

    provider: str
    first: float
    token: float


MODELS: Final = {
    "gpt-5-mini": Speed("openai", 450, 9),
    "gpt-4o": Speed("openai", 600, 14),
    "claude-sonnet-4-5": Speed("anthropic", 900, 16),
    "claude-haiku-4-5": Speed("anthropic", 500, 8),
    "gemini-2.5-flash": Speed("google", 400, 6),
}
COMPANIES: Final = (
    Company(
        name="shop",
        apps=(
            App(name="support", team="care", share=0.55, models={"gpt-5-mini": 0.8, "gpt-4o": 0.2},
                hours=EVENING, weekend=0.8, embedded=True),
            App(name="search", team="store", share=0.3, models={"gpt-5-mini": 1}, tokens=(400, 0.5),
                output=(40, 0.5), hours=EVENING, weekend=1.1, session=2),
            App(name="reports", team="data", share=0.15, models={"claude-sonnet-4-5": 1}, tokens=(6_000, 0.8),
                output=(700, 0.5), weekend=0.1, session=1, tools=True),
        ),
    ),
    Company(
        name="bank",
        without=frozenset(("scores", "ttft_ms")),
        apps=(
            App(name="advisor", team="retail", share=0.5, models={"claude-sonnet-4-5": 1}, weekend=0.05,
                refusals=0.03, blocked=0.02),
            App(name="letters", team="office", share=0.3, models={"claude-haiku-4-5": 1}, output=(350, 0.4),
                weekend=0.02, session=1.5, errors=0.005),
            App(name="fraud", team="risk", share=0.2, models={"gpt-4o": 1}, hours=NIGHTLY, weekend=1,
                session=1, output=(30, 0.3)),
        ),
        rollout="random",
        storms=0.5,
    ),
    Company(
        name="coders",
        without=frozenset(("toxicity", "guardrails")),
        apps=(
            # Context and output of a trace of a code assistant: long prompts, short answers, heavy tails.
            App(name="complete", team="editor", share=0.6, models={"gemini-2.5-flash": 1},
                tokens=(1_400, 1.2), output=(13, 0.85), weekend=0.25, session=12, errors=0.012),
            App(name="agent", team="agents", share=0.4, models={"claude-sonnet-4-5": 0.7, "gpt-5-mini": 0.3},
                tokens=(8_000, 0.9), output=(250, 0.8), weekend=0.3, session=15, tools=True, embedded=True),
        ),
        storms=2.0,
        outages=0.5,
    ),
    Company(
        name="media",
        without=frozenset(("team", "cached_tokens", "session")),
        apps=(
            App(name="writer", team="", share=0.5, models={"gpt-4o": 0.6, "gemini-2.5-flash": 0.4},
                output=(500, 0.6), weekend=0.6, toxic=0.02),
            App(name="tagger", team="", share=0.3, models={"gemini-2.5-flash": 1}, hours=NIGHTLY, weekend=1,
                session=1, output=(25, 0.4), judged=0.05),
            App(name="chat", team="", share=0.2, models={"gpt-5-mini": 1}, hours=EVENING, weekend=1.3,
                refusals=0.02, embedded=True),
        ),
        rollout="flip",
        storms=0.2,
    ),
)  # fmt: skip
