"""Cards of every kind that a message can be about, for snapshots, pictures and tests."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from msgspec import structs

from llmvitals.notify.slack.thread import drawn
from llmvitals.record.alert import Alert, Heavy, Outlook
from llmvitals.record.matcher import Matcher
from llmvitals.record.notification import CallsRequested, MessageState, Muted, Reply, changes
from llmvitals.record.verdict import Gate

SECOND = 1_000_000
MINUTE = 60 * SECOND
HOUR = 60 * MINUTE
DAY = 24 * HOUR
NOON = 1_735_732_800 * SECOND  # 2025-01-01 12:00 UTC


def alert(**changes: Any) -> Alert:
    fields: dict[str, Any] = {
        "rule": "TeamMonthlyBudget",
        "kind": "budget",
        "status": "firing",
        "severity": "critical",
        "fingerprint": "0123456789abcdef",
        "episode": "0123456789abcdef-1",
        "group": "budgets",
        "labels": {"team": "search", "environment": "prod"},
        "metric": "cost",
        "unit": "usd",
        "value": 1284.2,
        "limit": 2000,
        "level": "50%",
        "window": "month",
        "since": NOON,
        "at": NOON,
        "summary": "search has used 64 % of $2,000",
        "annotations": {"runbook_url": "https://wiki.example/budgets?team=search&page=1"},
        "gate": Gate({"team": "search"}),
        "heaviest": [
            Heavy(kind="user", name="alice", calls=1203, cost_nano=212_100_000_000, tokens=3_400_000),
            Heavy(kind="model", name="gpt-5", calls=900, cost_nano=98_500_000_000, tokens=950),
        ],
        "exemplars": ["4bf92f3577b34da6a3ce929d0e0e4736", "call-17"],
    }
    return Alert(**(fields | changes))


def threshold(**changes: Any) -> Alert:
    fields: dict[str, Any] = {
        "rule": "SlowAnswers", "kind": "threshold", "severity": "warning", "metric": "latency_p95",
        "unit": "ms", "value": 6_240.0, "limit": 4_000.0, "level": "", "window": "5m",
        "labels": {"app": "answer", "model": "gpt-5"},
        "summary": "latency_p95 over 5m is 6.2 s, the limit is 4 s: app=answer, model=gpt-5",
        "annotations": {}, "heaviest": [],
        "exemplars": ["4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b74bf92f3577b34da6", "a3ce929d0e0e47364bf92f3577b34da6"],
        "trend": [3100, 3050, 3200, 3150, 3300, 3280, 3600, 4100, 4700, 5200, 5900, 6240],
    }  # fmt: skip
    return alert(**(fields | changes))


def group(number: int, **changes: Any) -> MessageState:
    apps = (
        "answer",
        "search",
        "chat",
        "triage",
        "notes",
        "agents",
        "mail",
        "docs",
        "sales",
        "legal",
        "ops",
        "hr",
    )
    alerts = tuple(
        threshold(
            episode=f"slow-{n}", fingerprint=f"slow-{n}", labels={"app": apps[n % 12], "model": "gpt-5", "environment": "prod"},
            value=4_100.0 + 390 * (12 - n % 12), since=NOON + n * MINUTE, at=NOON + n * MINUTE,
            cause="+1.9 s a call against the hour before: 88 % from longer answers in answer@v7",
        )
        for n in range(min(number, 20))
    )  # fmt: skip
    fields: dict[str, Any] = {
        "incident": "9c2f11d07ab31e55", "status": "firing", "alerts": alerts, "firing": number,
        "total": number, "since": NOON, "matchers": (Matcher("rule", "=", "SlowAnswers"),),
    }  # fmt: skip
    return MessageState(**(fields | changes))


def digest() -> MessageState:
    teams = ("search", "chat", "sales", "legal", "ops")
    alerts = tuple(
        alert(
            rule="UserDailyBudget", episode=f"d{n}", fingerprint=f"d{n}",
            labels={"user": f"user-{n:03}", "team": teams[n % 5]}, value=25.0 + n, limit=25.0, level="100%",
            window="day", since=NOON + n * SECOND, ends=NOON + 12 * HOUR,
        ) if n % 3 else threshold(
            episode=f"d{n}", fingerprint=f"d{n}", labels={"app": teams[n % 5], "model": "gpt-5"}, severity="critical",
            since=NOON + n * SECOND, value=4_000.0 + 100 * n,
        )
        for n in range(20)
    )  # fmt: skip
    return MessageState(
        incident="digest-1735732800",
        status="firing",
        alerts=alerts,
        firing=40,
        total=40,
        since=NOON,
        digest=True,
        rules=2,
    )


SILENCED = Muted("silenced by Ann", NOON + 8 * HOUR, "Ann")
BUDGET = alert(
    value=1924.4, level="95%", verdict="warn", ends=NOON + 30 * DAY + 11 * HOUR,
    summary="search has used 96 % of $2,000",
    cause="+$212 an hour against the hour before: 81 % from longer prompts in answer@v7, 12 % from more calls by alice",
    annotations={
        "summary": "search has used 96 % of $2,000",
        "runbook_url": "https://wiki.example/budgets?team=search&page=1",
    },
    outlook=Outlook(rate=1.6, window="1h", exhausted=NOON + 31 * HOUR),
)  # fmt: skip
BLOCKED = alert(
    value=2_084.2, level="100%", verdict="block", ends=NOON + 30 * DAY + 11 * HOUR,
    summary="$2,084.20 of $2,000 per month is used (104 %): team=search", note="overspent by $84.20",
    cause="+$160 an hour against the hour before: 64 % from longer prompts in answer@v7, 31 % from more calls by alice",
)  # fmt: skip
LATENCY = threshold(cause="+1.9 s a call against the hour before: 88 % from longer answers in answer@v7")


def said(made: Alert) -> Alert:
    """As alert/compose makes it of a facet or of too few calls: the summary is among the annotations."""
    return structs.replace(made, annotations={**made.annotations, "summary": made.summary})


CHANGED = threshold(
    rule="SomethingChanged", kind="change", severity="info", metric="changes", unit="count", value=2.0, limit=0.0,
    level="2 changes", window="1h", labels={"app": "answer"}, trend=[],
    summary="Changed: latency p95 1.2 s → 1.9 s since 11:45 UTC; error share 1 % → 3 % since 11:50 UTC (app=answer)",
    note="latency p95 1.2 s → 1.9 s since 11:45 UTC; error share 1 % → 3 % since 11:50 UTC",
)  # fmt: skip


def changed(number: int) -> MessageState:
    apps = [alert.labels["app"] for alert in group(number).alerts]
    alerts = tuple(
        structs.replace(
            CHANGED,
            episode=f"changed-{app}",
            fingerprint=f"changed-{app}",
            labels={"app": app},
            since=NOON,
            at=NOON,
        )
        for app in apps
    )
    return MessageState(
        incident="9c2f11d07ab31e55", status="firing", alerts=alerts, firing=number, total=number, since=NOON,
        matchers=(Matcher("rule", "=", "SomethingChanged"),),
    )  # fmt: skip


BURN = said(
    alert(
        facet="burn", level="14.4x", value=312.0, ends=NOON + 30 * DAY + 11 * HOUR, episode="burn", since=NOON + HOUR,
        at=NOON + HOUR, summary="$2,000 per month is spent at 14.4x the even rate: team=search",
        note="$41.20 within 1 h: at this rate the budget is exhausted in 1 d 16 h, on Fri 3 Jan 2025 at 05:58 CET",
        cause="+$38 an hour against the hour before: 71 % from more calls by ben, 22 % from a shift to gpt-5",
        outlook=Outlook(rate=14.8, window="1h", exhausted=NOON + 40 * HOUR + 58 * MINUTE),
    )
)  # fmt: skip
FORECAST = said(
    alert(
        facet="forecast", severity="info", level="", value=702.3, ends=NOON + 20 * DAY, episode="forecast",
        since=NOON + 2 * HOUR, at=NOON + 2 * HOUR, summary="The forecast exceeds $2,000 per month: team=search",
        note="about $2,310 by Tue 21 Jan 2025 at 13:00 CET, 90 % interval $2,040 to $2,610; chance of overspending 93 % (two weeks of hourly spend)",
        heaviest=[], exemplars=[], outlook=Outlook(expected=2310, low=2040, high=2610, chance=0.93),
    )
)  # fmt: skip
PERIOD_OVER = structs.replace(
    BLOCKED, status="resolved", level="100%", value=2_060.0, verdict="", at=BLOCKED.ends or 0, until=BLOCKED.ends,
    note="overspent by $60", cause="", heaviest=[], exemplars=[],
)  # fmt: skip


def budget_group() -> MessageState:
    """The thresholds, the burn rate and the forecast of one budget."""
    ends = BLOCKED.ends
    alerts = (
        BLOCKED,
        structs.replace(BURN, value=2_084.2, outlook=Outlook(rate=14.8, window="1h")),
        structs.replace(
            FORECAST,
            value=2_084.2,
            ends=ends,
            outlook=Outlook(expected=2_810, low=2_540, high=3_110, chance=0.99),
        ),
    )
    return MessageState(
        incident="9c2f11d07ab31e55", status="firing", alerts=alerts, firing=3, total=3, since=NOON, matchers=BLOCKED.itself
    )  # fmt: skip


def blocked_teams() -> MessageState:
    """Budgets of several teams in one message, one of which is silenced."""
    teams = ("search", "chat", "sales", "legal", "ops", "docs", "mail", "hr", "notes")
    alerts = tuple(
        structs.replace(
            BLOCKED, episode=team, fingerprint=team, labels={"team": team, "environment": "prod"}, value=2_084.2 - 9 * n,
            since=NOON + n * MINUTE, at=NOON + n * MINUTE,
        )
        for n, team in enumerate(teams)
    )  # fmt: skip
    return MessageState(
        incident="9c2f11d07ab31e55", status="firing", alerts=alerts, firing=8, total=8, since=NOON,
        matchers=(Matcher("rule", "=", "TeamMonthlyBudget"),), muted=frozenset({"notes"}),
    )  # fmt: skip


CARDS: dict[str, MessageState] = {
    "budget": MessageState.alone(BUDGET),
    "budget_blocked": MessageState.alone(BLOCKED),
    "budget_group": budget_group(),
    "budget_many": blocked_teams(),
    "period_over": MessageState.alone(PERIOD_OVER),
    "unpriced": MessageState.alone(structs.replace(BUDGET, value=1_012.0, level="50%", unpriced=(1204, 2400), verdict="",
        annotations={}, summary="$1,012 of $2,000 per month is used (50 %): team=search", outlook=None, cause="")),
    "burn": MessageState.alone(BURN),
    "forecast": MessageState.alone(FORECAST),
    "peak": MessageState.alone(structs.replace(LATENCY, value=3_100.0, peak=9_800.0, at=NOON + 9 * MINUTE,
        trend=[1_200, 2_400, 6_240, 9_800, 7_000, 3_100])),
    "latency": MessageState.alone(LATENCY),
    "outage": MessageState.alone(
        threshold(
            rule="ProviderOutage", kind="outage", severity="critical", metric="error_rate", unit="share",
            value=0.83, limit=0.5, level="major", labels={"provider": "openai"},
            summary="83 % of the calls within 5m failed (major outage): provider=openai",
            annotations={"runbook_url": "https://wiki.example/outage"}, trend=[0.01, 0.02, 0.01, 0.1, 0.4, 0.83],
            heaviest=[
                Heavy(kind="error", name="rate_limit in chat", calls=412, cost_nano=0, tokens=0),
                Heavy(kind="error", name="timeout in search", calls=87, cost_nano=0, tokens=0),
            ],
        )
    ),
    "runaway": MessageState.alone(
        threshold(
            rule="RunawaySession", kind="runaway", severity="critical", metric="cost", unit="usd", value=61.2,
            limit=20.0, level="×2", window="10m", labels={"session": "run-4711", "user": "ben", "app": "agents"},
            summary="session=run-4711 called search_flights 412 times within 10m, each time with the same arguments",
            note="called search_flights 412 times within 10m, each time with the same arguments",
            heaviest=[Heavy(kind="tool", name="search_flights#a41f", calls=412, cost_nano=0, tokens=0)],
            trend=[0.1, 0.2, 3, 8, 20, 61.2],
        )
    ),
    "absence": MessageState.alone(
        threshold(
            rule="NoCalls", kind="absence", metric="silence", unit="ms", value=1_500_000.0, limit=900_000.0,
            window="15m", labels={"app": "billing-bot"}, exemplars=[], trend=[],
            summary="No calls for 25 min: app=billing-bot (about 240 calls were expected by the same hours of past weeks)",
            note="about 240 calls were expected by the same hours of past weeks",
        )
    ),
    "no_data": MessageState.alone(said(
        threshold(
            metric="calls", unit="count", value=3.0, limit=50.0, level="no data", exemplars=[], trend=[],
            summary="SlowAnswers has too few calls: 3 within 5m, 50 are needed: app=answer, model=gpt-5",
        ))),
    "drift": MessageState.alone(
        threshold(
            rule="TopicsDrift", kind="drift", metric="drift", unit="score", value=1.8, limit=1.0, window="16m",
            labels={"app": "support-bot"}, trend=[],
            summary="The content of calls has changed: app=support-bot (other topics; new: calls like 4bf92f3577b34da6, 00f067aa0ba902b7; missing: calls like a3ce929d0e0e4736)",
            note="other topics; new: calls like 4bf92f3577b34da6, 00f067aa0ba902b7; missing: calls like a3ce929d0e0e4736",
        )
    ),
    "canary": MessageState.alone(
        threshold(
            rule="CanaryWorse", kind="canary", metric="times_worse", unit="count", value=2.1, limit=1.0, window="1m",
            level="2 metrics", labels={"app": "support-bot", "prompt_name": "answer"}, trend=[],
            summary="app=support-bot, prompt_name=answer: prompt v8 fails 2.1× as often as v7 (4.2 % of 1,240 calls against 2 % of 9,800; at least 1.4×)",
            note="prompt v8 fails 2.1× as often as v7 (4.2 % of 1,240 calls against 2 % of 9,800; at least 1.4×); also worse: cost (1.1×). About $310 a month more at full roll-out",
        )
    ),
    "regression": MessageState.alone(
        threshold(
            rule="ErrorsUnusual", kind="regression", metric="error_share", unit="share", value=0.034, limit=0.011,
            window="28d", labels={"app": "search"}, trend=[],
            summary="3.4 % of the calls failed, 1.1 % is usual at this time of past weeks (3.1 times as much, since 11:05 UTC): app=search",
            note="3.1 times as much, since 11:05 UTC",
        )
    ),
    "change": MessageState.alone(CHANGED),
    "change_many": changed(10),
    "group": group(12),
    "group_many": group(10_000),
    "digest": digest(),
    "acknowledged": replace(MessageState.alone(BUDGET), acknowledged=("Ann", NOON + 5 * MINUTE)),
    "silenced": replace(MessageState.alone(LATENCY), unheard=(SILENCED,)),
    "repeated": replace(MessageState.alone(LATENCY), again=NOON + 4 * HOUR),
    "resolved": MessageState.alone(
        threshold(status="resolved", value=2_900.0, peak=9_800.0, at=NOON + 72 * MINUTE, until=NOON + 72 * MINUTE, trend=[], exemplars=[],
                  summary="Latency p95 over 5m is 2.9 s, the limit is 4 s: app=answer, model=gpt-5")
    ),
    "group_resolved": group(
        12, status="resolved", firing=0, until=NOON + 72 * MINUTE,
        alerts=tuple(
            structs.replace(a, status="resolved", value=2_900.0, trend=[], at=NOON + (60 + n) * MINUTE, until=NOON + (60 + n) * MINUTE)
            for n, a in enumerate(group(12).alerts)
        ),
    ),
    "hostile": MessageState.alone(
        threshold(labels={"app": "<!channel>", "model": "<https://evil.example|gpt-5> & `co`"}, rule="<!here>",
                  summary="<@U123> *pay* now & <https://evil.example|here>", cause="<!everyone>", note="_a_ <b>",
                  annotations={"runbook_url": "https://wiki.example/a|b><!channel>"})
    ),
}  # fmt: skip
"""Name → what its message is about. `webhook` and `send_test` are drawn of these by the tests."""

TRACES = "https://traces.example/t/{trace_id}"


def reply(before: MessageState, after: MessageState) -> str | None:
    """What a thread says of a change; None: nothing."""
    found = changes(before, after)
    return drawn(Reply(after, found)) if found else None


def calls(state: MessageState, *, trace_url: str = "") -> str:
    """What a thread says when somebody asks for the calls."""
    return drawn(Reply(state, (CallsRequested(),)), trace_url=trace_url)


def thread() -> list[str]:
    """What the thread of one incident hears, from its second minute to its end."""
    first = group(1)
    more = group(4, alerts=(first.alerts[0], *group(4).alerts[1:]))
    acked = replace(more, acknowledged=("Ann", NOON + 5 * MINUTE))
    quiet = replace(acked, unheard=(SILENCED,))
    told = replace(acked, unheard=())
    better = replace(
        told,
        firing=2,
        alerts=tuple(
            structs.replace(a, status="resolved", at=NOON + HOUR) if n > 1 else a
            for n, a in enumerate(told.alerts)
        ),
    )
    over = replace(better, status="resolved", firing=0, until=NOON + 72 * MINUTE)
    risen = (
        MessageState.alone(alert()),
        MessageState.alone(structs.replace(BLOCKED, at=NOON + 90 * MINUTE)),
    )
    steps = [
        (first, more),
        (more, acked),
        (acked, quiet),
        (quiet, told),
        (told, better),
        (better, over),
        risen,
    ]
    replies = [reply(before, after) or "" for before, after in steps]
    return [*replies[:4], calls(more, trace_url=TRACES), *replies[4:]]
