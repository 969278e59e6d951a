"""The `notify:` section: what is right is a routing, what is wrong is told with its place and its cure."""

from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from llmvitals.errors import RuleError
from llmvitals.record.matcher import Matcher
from llmvitals.routing import Inhibition, MuteTime, Route, Routing
from llmvitals.rules.engine import load_engine
from llmvitals.window import HOUR, MINUTE, SECOND
from panes import PANE

RULES = """groups:
- name: g
  labels: {severity: warning, crew: red}
  rules:
  - {alert: A, threshold: {metric: errors, above: 4, by: [team, provider]}}
"""
NIGHTS = "  mute_times:\n  - {name: nights, days: [mon, tue, wed, thu, fri], from: '22:00', to: '07:00', timezone: Europe/Berlin}\n"


def routing(tmp_path, text: str) -> tuple[Routing, tuple[str, ...]]:
    (tmp_path / "rules.yaml").write_text(RULES)
    (tmp_path / "notify.yaml").write_text(text)
    rules = load_engine(tmp_path, PANE).rules
    return rules.routing, rules.warnings


def test_the_section_is_read_whole(tmp_path):
    text = f"""notify:
  group_by: [rule]
  group_wait: 30s
  slack: "#llm"
  routes:
  - {{match: [severity=critical], slack: "#oncall", group_wait: 0s}}
  - {{match: ['team=~search|ads', crew!="blue"], mute: [nights], group_by: ["..."], repeat_interval: 1d}}
  inhibit:
  - {{source: [rule=A], target: [rule!=A], equal: [provider]}}
{NIGHTS}"""
    found, warnings = routing(tmp_path, text)
    berlin = ZoneInfo("Europe/Berlin")
    nights = MuteTime("nights", frozenset(range(5)), ((22 * 60, 7 * 60),), berlin)
    assert warnings == ()
    assert found == Routing(
        (
            Route((Matcher("severity", "=", "critical"),), "#oncall", ("rule",), 0),
            Route(
                (Matcher("team", "=~", "search|ads"), Matcher("crew", "!=", "blue")),
                "#llm", ("...",), 30 * SECOND, repeat=24 * HOUR, mute=("nights",),
            ),
            Route((), "#llm", ("rule",), 30 * SECOND, 5 * MINUTE, 4 * HOUR),
        ),
        (Inhibition((Matcher("rule", "=", "A"),), (Matcher("rule", "!=", "A"),), ("provider",)),),
        {"nights": nights},
    )  # fmt: skip


def test_a_route_has_its_own_mentions_and_thread(tmp_path):
    text = """notify:
  thread: false
  routes:
  - {match: [severity=critical], thread: true, mention: ["<!here>", S0123456789, U0123456789]}
  - {match: [severity=info]}
"""
    found, warnings = routing(tmp_path, text)
    assert warnings == ()
    assert [(route.thread, route.mention) for route in found.routes] == [
        (True, ("<!here>", "S0123456789", "U0123456789")),
        (False, ()),
        (False, ()),
    ]


def test_without_a_section_nothing_waits(tmp_path):
    (tmp_path / "rules.yaml").write_text(RULES)
    assert load_engine(tmp_path, PANE).rules.routing == Routing()


@pytest.mark.parametrize(
    ("moment", "active"),
    [
        ("2026-11-20T21:59:59", False),  # a Friday evening
        ("2026-11-20T22:00:00", True),
        ("2026-11-21T06:59:59", True),  # and what remains of that night
        ("2026-11-21T07:00:00", False),
        ("2026-11-21T23:00:00", False),  # Saturday's night is not one of the five
        ("2026-11-23T03:00:00", False),  # nor is Sunday's
        ("2026-11-23T22:00:00", True),
    ],
)
def test_a_night_belongs_to_the_day_on_which_it_begins(moment, active):
    berlin = ZoneInfo("Europe/Berlin")
    nights = MuteTime("nights", frozenset(range(5)), ((22 * 60, 7 * 60),), berlin)
    at = datetime.fromisoformat(moment).replace(tzinfo=berlin)
    assert nights.active(int(at.timestamp()) * SECOND) is active


def test_a_mute_time_without_span_is_the_whole_day():
    sundays = MuteTime("sundays", frozenset([6]))
    assert [
        sundays.active(int(datetime(2026, 11, day, hour, tzinfo=UTC).timestamp()) * SECOND)
        for day, hour in ((21, 23), (22, 0), (22, 23), (23, 0))
    ] == [False, True, True, False]


def test_what_does_nothing_is_warned_of(tmp_path):
    found, warnings = routing(tmp_path, f"notify:\n  routes:\n  - match: [app=chat]\n{NIGHTS}")
    place = tmp_path / "notify.yaml"
    assert warnings == (
        f"{place}:3:13: warning: no rule has the label app (none is by it)",
        f"{place}:5:5: warning: no route uses the mute time nights: it has no effect",
    )
    assert found.routes[0].matchers == (Matcher("app", "=", "chat"),)


def test_a_route_for_no_rule_is_warned_of(tmp_path):
    text = """notify:
  routes:
  - match: [rule=Aa]
  - match: [rule=A, severity=critical]
  - match: [rule=A, severity=warning, team=x, crew!=blue]
  inhibit:
  - {source: [severity=critical], target: [rule!=A]}
"""
    found = [line.rpartition("notify.yaml:")[2] for line in routing(tmp_path, text)[1]]
    assert found == [
        "3:13: warning: there is no rule 'Aa': did you mean A?",
        "4:12: warning: no rule's alerts match this",
    ]


def test_a_level_that_is_critical_decides_later(tmp_path):
    (tmp_path / "outage.yaml").write_text(
        RULES.replace("alert: A, threshold: {metric: errors, above: 4,", "alert: B, outage: {")
    )
    assert routing(tmp_path, "notify: {routes: [{match: [rule=B, severity=critical]}]}")[1] == ()


def test_it_stands_in_one_file(tmp_path):
    (tmp_path / "a.yaml").write_text("notify: {}\n")
    (tmp_path / "b.yaml").write_text("# ours\nnotify: {}\n")
    with pytest.raises(RuleError, match=r"b\.yaml:2:1: notify is already in .*a\.yaml:1: put all of it"):
        load_engine(tmp_path, PANE)


def test_a_mistake_in_a_rule_does_not_make_its_labels_unknown(tmp_path):
    (tmp_path / "rules.yaml").write_text(RULES.replace("errors", "errrs"))
    (tmp_path / "z.yaml").write_text("notify: {routes: [{match: [crew=red]}]}")
    with pytest.raises(RuleError) as caught:
        load_engine(tmp_path, PANE)
    assert str(caught.value).count("\n") == 0
