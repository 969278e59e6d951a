"""How a request to FakeSlack fails."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """How a request fails.

    method: which one (`chat.postMessage`, …, `webhook`), any when None. thread: replies only. error: Slack's
    name for it, with HTTP 200. status: an HTTP status instead. retry_after: seconds, for 429. accept: do it
    nevertheless. hang: never answer. drop: close the connection without an answer.
    """

    method: str | None = None
    thread: bool = False
    error: str = ""
    status: int = 200
    retry_after: float | None = None
    accept: bool = False
    hang: bool = False
    drop: bool = False
