"""The command that says where an alert goes, and why: alerts route."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from llmvitals import settings as settings_
from llmvitals.cli.rule_files import RulesOption, chosen
from llmvitals.cli.stored import Where, pairs
from llmvitals.errors import near, suggestion
from llmvitals.record.matcher import Matcher, all_match
from llmvitals.routing import Route
from llmvitals.window import duration, duration_text

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from llmvitals.routing import Inhibition, Routing
    from llmvitals.rules.rule import Rule, Rules
    from llmvitals.rules.vocabulary import Vocabulary

DEFAULT: Final = "(default)"
"""The channel of the settings, where they name none."""


def route(
    labels: Where = None,
    rules: RulesOption = None,
    at: Annotated[
        str,
        typer.Option(help="The time for mute times: 2026-11-24T03:00:00Z, or how long ago; default: now."),
    ] = "0s",
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object.")] = False,
) -> None:
    """Show where an alert with these labels goes, and why; without labels: all routes.

    `llmvitals alerts route team=search severity=critical`. Labels are those of the alert, and `rule`, `kind`
    and `severity`; with `rule`, those of that rule are added. The command warns of labels that no
    alert has.
    """
    from llmvitals.cli.tables.route import print_routes, print_way  # noqa: PLC0415 - others don't need it
    from llmvitals.console import console as terminal  # noqa: PLC0415 - nor this
    from llmvitals.rules.engine import load_engine  # noqa: PLC0415 - nor this
    from llmvitals.store.question import moment  # noqa: PLC0415 - nor this

    settings = settings_.load()
    (place,) = chosen([], rules, settings)
    loaded = load_engine(place, duration(settings.pane)).rules
    default = settings.slack_channel or DEFAULT
    if labels:
        now = moment(at, time.time_ns() // 1_000)
        found = way(loaded, pairs(labels), default, now)
    else:
        found = table(loaded, default)
    if as_json:
        typer.echo(json.dumps(found, ensure_ascii=False, indent=2))
    else:
        (print_way if labels else print_routes)(found, terminal(soft_wrap=True))


def table(rules: Rules, default: str) -> dict[str, Any]:
    """All routes, each with the rules whose alerts may go there; the rules with a channel of their own."""
    from llmvitals.rules.vocabulary import decided  # noqa: PLC0415 - other commands don't need it

    routes = rules.routing.routes or (Route(),)
    reached: list[list[str]] = [[] for _ in routes]
    for rule in rules.rules:
        for number, each in enumerate(routes):
            fates = [decided(matcher, rule) for matcher in each.matchers]
            if False not in fates:
                reached[number].append(rule.name)
            if all(fates):
                break
    return {
        "routes": [
            {**_route(each, default), "rules": names} for each, names in zip(routes, reached, strict=True)
        ],
        "own": {rule.name: rule.notify["slack"] for rule in rules.rules if "slack" in rule.notify},
    }


def way(rules: Rules, given: Mapping[str, str], default: str, now: int) -> dict[str, Any]:
    """Where an alert with these labels goes, and why; now: µs. Raises typer.BadParameter."""
    words = _words(rules)
    rule = _rule(rules, given)
    _check(given, words)
    marks = _marks(rule, given)
    taken = rules.routing.route(marks)
    own = rule.notify.get("slack", "") if rule else ""
    return {
        "labels": marks,
        "unknown": _unknown(given, words),
        "missing": [name for name in (rule.condition.by if rule else ()) if name not in given],
        "channel": own or taken.channel or default,
        "channel_of": f"rule {rule.place}" if own and rule else "route" if taken.channel else "settings",
        "route": _route(taken, default),
        "passed": _passed(rules.routing, taken, marks),
        "mute_times": [
            {"name": name, "holds": rules.routing.mute_times[name].active(now)} for name in taken.mute
        ],
        "inhibited_by": [
            _inhibition(each, marks, words)
            for each in rules.routing.inhibitions
            if all_match(each.target, marks)
        ],
    }


def _words(rules: Rules) -> Vocabulary:
    from llmvitals.rules.kinds import KINDS  # noqa: PLC0415 - other commands don't need it
    from llmvitals.rules.vocabulary import Vocabulary  # noqa: PLC0415 - nor this

    names = {name for rule in rules.rules for name in rule.labels}
    return Vocabulary(rules.rules, names, [rule.name for rule in rules.rules], KINDS)


def _rule(rules: Rules, given: Mapping[str, str]) -> Rule | None:
    """The rule that is named."""
    if "rule" not in given:
        return None
    names = {rule.name: rule for rule in rules.rules}
    if given["rule"] not in names:
        _refuse(f"there is no rule {given['rule']!r}{suggestion(given['rule'], names)}")
    rule = names[given["rule"]]
    for name, value in {**rule.labels, "kind": rule.condition.kind}.items():
        if name != "severity" and given.get(name, value) != value:
            _refuse(f"{name} of {rule.name} is {value}, not {given[name]}: leave it out")
    return rule


def _check(given: Mapping[str, str], words: Vocabulary) -> None:
    """Check the labels whose values are known."""
    for name in ("kind", "severity"):
        if name in given and words.unknown(Matcher(name, "=", given[name])):
            _refuse(words.message(name, given[name]))


def _refuse(why: str) -> None:
    raise typer.BadParameter(why, param_hint="NAME=VALUE")


def _marks(rule: Rule | None, given: Mapping[str, str]) -> dict[str, str]:
    """The labels of the alert; a rule adds its own."""
    if rule is None:
        return dict(given)
    own = {**rule.labels, "rule": rule.name, "kind": rule.condition.kind, "severity": rule.severity}
    return {**own, **given}


def _unknown(given: Mapping[str, str], words: Vocabulary) -> dict[str, str]:
    """Label → what is wrong with it: no alert has it, or not with this value."""
    found: dict[str, str] = {}
    for name, value in given.items():
        if name not in words.present:
            close = near(name, words.present)
            found[name] = f"no alert has the label {name}" + (f": did you mean {close}?" if close else "")
        elif words.unknown(Matcher(name, "=", value)):
            found[name] = words.message(name, value)
    return found


def _route(route: Route, default: str) -> dict[str, Any]:
    return {
        "place": route.place,
        "match": [str(matcher) for matcher in route.matchers],
        "channel": route.channel or default,
        "group_by": None if route.group_by is None else list(route.group_by),
        "group_wait": duration_text(route.wait),
        "group_interval": duration_text(route.interval),
        "repeat_interval": duration_text(route.repeat),
        "mute": list(route.mute),
    }


def _passed(routing: Routing, taken: Route, marks: Mapping[str, str]) -> list[dict[str, str]]:
    """The routes before the one that matches, each with the first matcher that does not."""
    found = []
    for route in routing.routes:
        if route is taken:
            break
        matcher = next(matcher for matcher in route.matchers if not matcher.matches(marks))
        value = f"{matcher.name} is {marks[matcher.name]}" if matcher.name in marks else f"no {matcher.name}"
        found.append({"place": route.place, "matcher": str(matcher), "why": value})
    return found


def _inhibition(inhibition: Inhibition, marks: Mapping[str, str], words: Vocabulary) -> dict[str, Any]:
    return {
        "place": inhibition.place,
        "source": _texts(inhibition.source),
        "equal": {name: marks.get(name, "") for name in inhibition.equal},
        "rules": [rule.name for rule in words.matching(inhibition.source)],
    }


def _texts(matchers: Sequence[Matcher]) -> list[str]:
    return [str(matcher) for matcher in matchers]


def add(alerts: typer.Typer) -> None:
    """Put the command beside the others about alerts."""
    alerts.command()(route)
