"""The `notify:` section: what is right is a routing, what is wrong is told with its place and its cure."""

from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from llmvitals.alert.routing import Inhibition, MuteTime, Route, Routing
from llmvitals.errors import RuleError
from llmvitals.record.matcher import Matcher
from llmvitals.watch import load_watch
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
    rules = load_watch(tmp_path, PANE).rules
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


def test_without_a_section_nothing_waits(tmp_path):
    (tmp_path / "rules.yaml").write_text(RULES)
    assert load_watch(tmp_path, PANE).rules.routing == Routing()


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
        f"{place}:3:13: no rule has the label app (none is by it)",
        f"{place}:5:5: no route has the mute time nights: it does nothing",
    )
    assert found.routes[0].matchers == (Matcher("app", "=", "chat"),)


WRONG = {
    "text": ("notify: §all", "write key: value lines here"),
    "unknown key": ("notify: {§route: []}", "did you mean routes?"),
    "no list": ("notify: {routes: §{}}", "write a list"),
    "route of text": ("notify: {routes: [§x]}", "write key: value lines here"),
    "typo in a route": ("notify: {routes: [{match: [severity=info], §chanel: '#a'}]}", "unknown key 'chanel'"),
    "one matcher": ("notify: {routes: [{match: §severity=info}]}", "write a list"),
    "no matchers": ("notify: {routes: [{match: §[]}]}", "write"),
    "matcher of ==": ("notify: {routes: [{match: ['severity=info', §'team==a']}]}", "write team=a"),
    "no matcher": ("notify: {routes: [{match: [§severity]}]}", "write label=value"),
    "matcher as a mapping": ("notify: {routes: [{match: [§{severity: info}]}]}", "'severity=critical'"),
    "regex that hangs": ("notify: {routes: [{match: [§'team=~(a+)+']}]}", "could run for ever"),
    "optional without end": (f"notify: {{routes: [{{match: [§'team=~{'a?' * 30}']}}]}}", "? at most 8 times"),
    "wrong regex": ("notify: {routes: [{match: [§'team=~(']}]}", "the regex is wrong at"),
    "long matcher": (f"notify: {{routes: [{{match: [§'team={'a' * 300}']}}]}}", "longer than 256"),
    "unknown label": ("notify: {routes: [{match: [§'sevrity=info']}]}", "did you mean severity?"),
    "label far off": ("notify: {routes: [{match: [§'zzz=info']}]}", "'zzz': write a label or a dimension"),
    "group by nothing known": ("notify: {group_by: [rule, §rul]}", "did you mean rule?"),
    "group by all and more": ("notify: {group_by: §['...', rule]}", "leave the others out"),
    "group by twice": ("notify: {group_by: §[rule, rule]}", "leave one out"),
    "group by text": ("notify: {group_by: §rule}", "write a list of labels"),
    "wait as a number": ("notify: {group_wait: §30}", "such as 30s or 5m"),
    "long wait": ("notify: {group_wait: §2h}", "0s to 1h"),
    "short interval": ("notify: {group_interval: §0s}", "1s to 1d"),
    "short repeat": ("notify: {repeat_interval: §5s}", "1m to 31d"),
    "channel": ("notify: {slack: §llm}", "write '#name' in quotes"),
    "after one without match": (
        "notify:\n  routes:\n  - slack: '#a'\n  - §match: [severity=info]\n", "never reached: the route in line 3",
    ),
    "after a wider one": (
        "notify:\n  routes:\n  - match: [severity=info]\n  - §match: [team=a, severity=info]\n", "put this one before it",
    ),
    "unknown mute time": (
        "notify:\n  routes:\n  - {match: [team=a], mute: [§night]}\n" + NIGHTS, "did you mean nights?",
    ),
    "no mute times": ("notify: {routes: [{mute: [§nights]}]}", "add it to mute_times"),
    "mute time twice": ("notify:\n" + NIGHTS + "  - name: §nights\n", "nights is a mute time already"),
    "mute time without name": ("notify: {mute_times: [§{days: [mon]}]}", "name is missing: add it"),
    "day": ("notify: {mute_times: [{name: n, days: §[monday]}]}", "'monday' is no day: write mon"),
    "day far off": ("notify: {mute_times: [{name: n, days: §[xyz]}]}", "write one of mon, tue"),
    "no days": ("notify: {mute_times: [{name: n, days: §[]}]}", "such as [sat, sun]"),
    "bare time": ("notify: {mute_times: [{name: n, from: §22:00, to: '07:00'}]}", "in quotes, such as '22:00'"),
    "time over the day": ("notify: {mute_times: [{name: n, from: '22:00', to: §'25:00'}]}", "no time of day"),
    "from without to": ("notify: {mute_times: [§{name: n, from: '22:00'}]}", "write both from and to"),
    "no span": ("notify: {mute_times: [§{name: n, from: '22:00', to: '22:00'}]}", "leave both out for the whole day"),
    "from the end": ("notify: {mute_times: [§{name: n, from: '24:00', to: '07:00'}]}", "begins at '00:00'"),
    "zone": ("notify: {mute_times: [{name: n, timezone: §Europe/Berln}]}", "did you mean Europe/Berlin?"),
    "inhibition without target": ("notify: {inhibit: [§{source: [rule=A]}]}", "target is missing: add it"),
    "inhibition of itself": ("notify: {inhibit: [§{source: [rule=A], target: [rule=A]}]}", "nothing is muted"),
    "equal of an unknown label": (
        "notify: {inhibit: [{source: [rule=A], target: [rule=B], equal: [§provder]}]}", "did you mean provider?",
    ),
    "twice": ("notify: {}\n§notify: {}\n", "notify stands here twice"),
}  # fmt: skip


@pytest.mark.parametrize("name", WRONG)
def test_a_mistake_is_told_with_its_place_and_its_cure(tmp_path, name):
    marked, cure = WRONG[name]
    before = marked.partition("§")[0]
    with pytest.raises(RuleError) as caught:
        routing(tmp_path, marked.replace("§", ""))
    error = caught.value
    assert cure in str(error)
    assert "\n" not in str(error), "one mistake, one line"
    assert (error.line, error.column) == (before.count("\n") + 1, len(before.rpartition("\n")[2]) + 1)


def test_it_stands_in_one_file(tmp_path):
    (tmp_path / "a.yaml").write_text("notify: {}\n")
    (tmp_path / "b.yaml").write_text("# ours\nnotify: {}\n")
    with pytest.raises(RuleError, match=r"b\.yaml:2:1: notify stands in .*a\.yaml:1 already: put all of it"):
        load_watch(tmp_path, PANE)


def test_a_mistake_in_a_rule_does_not_make_its_labels_unknown(tmp_path):
    (tmp_path / "rules.yaml").write_text(RULES.replace("errors", "errrs"))
    (tmp_path / "z.yaml").write_text("notify: {routes: [{match: [crew=red]}]}")
    with pytest.raises(RuleError) as caught:
        load_watch(tmp_path, PANE)
    assert str(caught.value).count("\n") == 0
