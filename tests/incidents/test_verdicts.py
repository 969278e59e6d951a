"""Verdicts: what of budgets and overrides reaches gateways, and how people see it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from aiokafka import AIOKafkaProducer
from msgspec.structs import replace as changed

from commands import end, said, start
from frames import alerts
from llmvitals.incidents.mutes import Mutes
from llmvitals.incidents.store import IncidentStore
from llmvitals.incidents.verdicts import VerdictSender, judged
from llmvitals.pipeline import Pipeline
from llmvitals.record.alert import Alert
from llmvitals.record.incident import Case
from llmvitals.record.log import Logged, Message, Topic
from llmvitals.record.matcher import parsed
from llmvitals.record.user_action import Silence
from llmvitals.record.verdict import Clause, Verdict
from llmvitals.routing import Routing
from llmvitals.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

SECOND = 1_000_000
HOUR = 3_600 * SECOND
START = 1_790_000_000 * SECOND // HOUR * HOUR
RULES = """groups:
- name: g
  labels: {severity: critical, environment: of-the-rule}
  rules:
  - alert: TeamHour
    budget:
      {limit: 10, per: hour, by: [team], thresholds: [50%, 90%, 100%, 150%], verdict: block,
       where: {key: [b, a], app: {not: batch}}}
  - alert: Told
    budget: {limit: 1, per: hour, by: [team]}
  - alert: Rolling
    budget: {limit: 10, rolling: 10m, by: [user], thresholds: [100%], verdict: block}
"""


@pytest.fixture
def pipeline(tmp_path: Path) -> Pipeline:
    (tmp_path / "rules.yaml").write_text(RULES)
    return Pipeline.of(Settings(alerts=tmp_path, default_views=False), 1, ["calls"])


def alerts_of(pipeline: Pipeline, calls: Iterable[tuple[int, str, float]]) -> list[Alert]:
    """What calls bring about (seconds, team, dollars), one after the other."""
    combine = pipeline.combining("calls", 0, parts={}, beginning=0, sources={"calls": 1})
    merge = pipeline.merging("partials", 0, parts={}, beginning=0, sources={})
    frames: list[Message] = []
    for number, (second, team, dollars) in enumerate(calls):
        call = {"id": f"c{number}", "ts": START // 1_000 + second * 1_000, "model": "m", "team": team,
                "user": team, "key": "a", "app": "chat", "cost_usd": dollars}  # fmt: skip
        frames += combine.apply([Logged(number, call["ts"], json.dumps(call).encode())])
        combine.delivered(combine.mark())
        frames += combine.flush()
    frames += combine.finish()
    out = merge.apply([Logged(at, 0, frame.value) for at, frame in enumerate(frames)])
    return alerts([*out, *merge.finish()], updates=True)


class Desk:
    """A desk without Slack: what it says to gateways, as their memory holds it."""

    def __init__(self) -> None:
        self.book, self.mutes, self.sender = (
            IncidentStore(),
            Mutes(Routing(), lambda _: True),
            VerdictSender(),
        )
        self.topic: dict[bytes, Verdict] = {}
        self.sent = 0

    def take(self, alert: Alert, now: int = START) -> None:
        self.book.put(Case(alert=alert, fresh=True))
        self._send(self.sender.changed(self.book, self.mutes, alert, now))

    def hear(self, silence: Silence, now: int = START) -> None:
        self.mutes.hear(silence)
        self.look(now)

    def look(self, now: int) -> None:
        self._send(self.sender.all(self.book, self.mutes, now))

    def _send(self, messages: list[Message]) -> None:
        for message in messages:
            assert message.topic is Topic.VERDICTS
            self.sent += 1
            if message.value is None:
                self.topic.pop(message.key, None)
            else:
                verdict = Verdict.decode(message.value)
                assert message.key == verdict.key
                self.topic[message.key] = verdict

    @property
    def says(self) -> list[tuple[str, str, str]]:
        return sorted((v.rule, "/".join(v.series.values()), v.verdict) for v in self.topic.values())


def test_a_budget_warns_blocks_and_is_released_when_its_period_ends(pipeline: Pipeline) -> None:
    desk, told = Desk(), []
    spent = [(at, "search", 1.0) for at in range(0, 1_000, 60)]
    for alert in alerts_of(pipeline, [*spent, (1_020, "chat", 5.0), (3_700, "chat", 1.0)]):
        if alert.rule != "Rolling":
            desk.take(alert, alert.at)
            told.append(desk.says)
    seen = [says for number, says in enumerate(told) if number == 0 or says != told[number - 1]]
    assert seen == [
        [],
        [("TeamHour", "search", "warn")],
        [("TeamHour", "search", "block")],
        [],
    ]


def test_a_verdict_says_which_calls_it_is_about_and_how_much_was_spent(pipeline: Pipeline) -> None:
    """The labels of the rule are none of the calls' dimensions."""
    desk = Desk()
    for alert in alerts_of(pipeline, [(at, "search", 1.25) for at in range(0, 840, 60)]):
        if alert.status == "firing" and alert.rule == "TeamHour":
            desk.take(alert)
    (verdict,) = desk.topic.values()
    assert verdict.verdict == "block"
    assert verdict.series == {"team": "search"}
    assert verdict.where == (Clause("app", ("batch",), None, negate=True), Clause("key", ("a", "b")))
    assert (verdict.spent, verdict.limit, verdict.overshoot) == (17.5, 10.0, 7.5)
    assert verdict.until == START + HOUR
    assert "$17.50 of $10 per hour is used (175 %)" in verdict.reason
    assert json.loads(verdict.key) == ["TeamHour", [["team", "search"]]]


def test_a_rolling_budget_blocks_until_its_spend_is_clearly_below(pipeline: Pipeline) -> None:
    desk, told = Desk(), []
    calls = [
        (0, "ann", 6.0),
        (300, "ann", 3.9),
        (310, "ann", 0.2),
        *((at, "bob", 0.0) for at in range(320, 1_300, 20)),
    ]
    for alert in alerts_of(pipeline, calls):
        if alert.rule == "Rolling":
            desk.take(alert)
            told.append((desk.says, (alert.at - START) // SECOND))
    (blocked, at), (released, later) = told
    assert blocked == [("Rolling", "ann", "block")]
    assert 310 <= at <= 320
    assert released == []
    assert 600 <= later <= 640


def firing(**changes: Any) -> Alert:
    fields = {
        "rule": "Month", "kind": "budget", "status": "firing", "severity": "critical", "fingerprint": "f",
        "episode": "f-1", "group": "g/Month", "labels": {"team": "search", "severity": "critical"},
        "metric": "cost", "unit": "usd", "value": 101.25, "limit": 100.5, "level": "100%", "since": START,
        "at": START, "ends": START + HOUR, "verdict": "block", "summary": "search has used it up",
        "gate": {"series": {"team": "search"}, "where": []},
    }  # fmt: skip
    return Alert.decode(json.dumps(fields | changes).encode())


def override(**changes: Any) -> Silence:
    fields = {"id": "s", "matchers": (parsed("team=search"),), "starts": START, "ends": START + HOUR // 2,
              "by": "Ann", "comment": "demo day", "kind": "override"}  # fmt: skip
    return Silence(**(fields | changes))


def test_an_override_lifts_a_block_while_it_lasts() -> None:
    desk = Desk()
    desk.take(firing())
    assert desk.says == [("Month", "search", "block")]
    desk.hear(override(matchers=(parsed("team=chat"),), id="of others"))
    desk.hear(override(kind="silence", id="unheard only"))
    assert desk.says == [("Month", "search", "block")]
    desk.hear(override())
    (verdict,) = desk.topic.values()
    assert (verdict.verdict, verdict.override, verdict.reason) == ("allow", "Ann", "lifted by Ann: demo day")
    assert verdict.until == START + HOUR // 2
    desk.look(START + HOUR // 2)
    assert desk.says == [("Month", "search", "block")]


def test_only_what_changes_is_sent_and_after_a_restart_all_of_it_once() -> None:
    desk = Desk()
    desk.take(firing())
    desk.look(START + 1)
    desk.take(firing())
    assert desk.sent == 1
    desk.sender = VerdictSender()
    desk.look(START + 2)
    desk.look(START + 3)
    assert (desk.sent, desk.says) == (2, [("Month", "search", "block")])


def test_a_rule_that_steers_nobody_any_more_lets_go() -> None:
    desk = Desk()
    desk.take(firing())
    desk.take(firing(gate=None, verdict="", level="150%", at=START + 1))
    assert desk.says == []


def test_a_budget_that_steers_nobody_says_nothing() -> None:
    assert judged([firing(gate=None, verdict="")], None, START) is None


def test_other_sides_of_the_rule_and_periods_that_are_over_say_nothing() -> None:
    burns = firing(facet="burn", verdict="", episode="f-burn")
    assert judged([burns], None, START).verdict == "allow"
    assert judged([firing(), burns], None, START).verdict == "block"
    late = firing(ends=START - 1)
    assert judged([late], None, START).verdict == "allow"
    over = changed(firing(), status="resolved")
    assert judged([over, firing(episode="f-2", verdict="warn", value=80.0)], None, START).verdict == "warn"


@pytest.mark.kafka
@pytest.mark.timeout(120)
async def test_people_see_who_is_blocked(
    kafka: str, topic_prefix: str, create_topics: Any, tmp_path: Path
) -> None:
    settings = await create_topics(Settings(brokers=kafka, topic_prefix=topic_prefix))
    where = {"brokers": kafka, "topic_prefix": topic_prefix}
    far = START + 10_000_000 * HOUR
    blocked = judged([firing(ends=far)], None, START)
    others = [
        judged([firing(rule="Old", ends=START + 1)], None, START),
        judged([firing(rule="Warned", verdict="warn", ends=None, labels={"team": "a[b]"})], None, START),
    ]
    producer = AIOKafkaProducer(bootstrap_servers=kafka)
    try:
        await producer.start()
        empty = said(tmp_path, "verdicts", **where)
        assert (empty.code, empty.text) == (0, "Nobody is blocked or warned.")
        for verdict in (blocked, *others):
            await producer.send_and_wait(settings.topic("verdicts"), verdict.encode(), key=verdict.key)
        shown = said(tmp_path, "verdicts", **where).text
        assert "block Month 2026" in shown
        assert "$101.25 team=search 3167" in shown
        assert "of $100.50 $0.75 over warn Warned 2026" in shown
        assert "Old" not in shown
        (line,) = said(tmp_path, "verdicts", "--rule", "Month", "--json", **where).out.splitlines()
        assert Verdict.decode(line.encode()) == blocked
        following = start(tmp_path, "verdicts", "--follow", "--json", "--rule", "Month", **where)
        assert following.stdout is not None
        assert Verdict.decode(following.stdout.readline().encode()) == blocked
        await producer.send_and_wait(settings.topic("verdicts"), None, key=blocked.key)
        freed = {"verdict": "allow", "rule": "Month", "series": {"team": "search"}}
        assert json.loads(following.stdout.readline()) == freed
        following.terminate()
        end(following)
    finally:
        await producer.stop()
