"""The command that shows whether alerts reach Slack: alerts send-test."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Annotated, Final, NoReturn

import typer
from msgspec import structs

from llmvitals import settings as settings_
from llmvitals.errors import suggestion
from llmvitals.record.reading import Reading
from llmvitals.rules.alert_builder import Evidence, build_alert
from llmvitals.window import duration

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from llmvitals.record.alert import Alert
    from llmvitals.routing import Route, Routing
    from llmvitals.rules.rule import Rule


WEBHOOK: Final = "the webhook's channel"
_VALUES: Final[dict[str, tuple[float, float]]] = {"share": (0.12, 0.1), "ms": (6_240.0, 4_000.0)}
"""A sample's value and limit, by unit."""


def send_test(
    rule: Annotated[
        str | None, typer.Option(help="The rule whose alert is sent; default: the first one.")
    ] = None,
    channel: Annotated[
        str | None, typer.Option(help="Send to this channel, whatever the routes say.")
    ] = None,
    severity: Annotated[
        str | None, typer.Option(help="The severity of the alert, which routes may match.")
    ] = None,
    label: Annotated[
        list[str] | None, typer.Option(help="NAME=VALUE: a label of the series; may be repeated.")
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Print where it would go and what it would say; send nothing.")
    ] = False,
) -> None:
    """Send a sample alert along the route of a real one, and print what Slack answers.

    It is posted, edited to resolved, and gets a reply in its thread. The exit code is 1 if that fails.
    """
    # Other commands don't need these, and start sooner without.
    from llmvitals.incidents.group import grouped  # noqa: PLC0415
    from llmvitals.notify.slack.send_test import Failed, trial  # noqa: PLC0415
    from llmvitals.notify.slack.settings import SlackSettings  # noqa: PLC0415
    from llmvitals.rules.engine import load_engine  # noqa: PLC0415

    settings = settings_.load()
    rules = load_engine(settings.alerts, duration(settings.pane)).rules
    chosen = _chosen(rules.rules, rule)
    alert = _sample(chosen, dict(map(_pair, label or ())), severity)
    route = rules.routing.route(alert.marks)
    place = channel or grouped(alert, route, settings.slack_channel or "").channel
    own = SlackSettings.of(settings)
    if dry_run:
        _print_dry(
            alert, _way(alert, route, rules.routing, channel=channel or "", place=place or "(default)")
        )
        return
    if own is None:
        _fail("no Slack is set: set LLMVITALS_SLACK_TOKEN and LLMVITALS_SLACK_CHANNEL, see docs/slack.md")
    if own.token is None:
        place = ""
    for line in _way(alert, route, rules.routing, channel=channel or "", place=place):
        typer.echo(line)
    try:
        asyncio.run(trial(own, alert, place, typer.echo))
    except Failed as error:
        _fail(str(error))


def _print_dry(alert: Alert, way: Iterable[str]) -> None:
    from llmvitals.notify.terminal import text  # noqa: PLC0415 - other commands don't need it
    from llmvitals.record.notification import MessageState  # noqa: PLC0415 - nor this

    for line in (*way, "Nothing was sent. It would say:", "", text(MessageState.alone(alert))):
        typer.echo(line)


def _fail(why: str) -> NoReturn:
    typer.secho(f"It did not get there: {why}", err=True, fg=typer.colors.RED)
    raise typer.Exit(1)


def _chosen(rules: Sequence[Rule], name: str | None) -> Rule:
    if not rules:
        raise typer.BadParameter("there are no rules: write one, see docs/rules.md", param_hint="--rule")
    found = next((rule for rule in rules if name in {None, rule.name}), None)
    if found is None:
        near = suggestion(str(name), [rule.name for rule in rules])
        raise typer.BadParameter(f"there is no rule {name!r}{near}", param_hint="--rule")
    return found


def _pair(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not name or not equals:
        raise typer.BadParameter(f"{text!r}: write NAME=VALUE", param_hint="--label")
    return name, value


def _sample(rule: Rule, labels: dict[str, str], severity: str | None) -> Alert:
    """Return an alert of the rule, now, with an invented series."""
    now = time.time_ns() // 1_000
    series = {name: labels.pop(name, "example") for name in rule.condition.by}
    value, limit = _VALUES.get(rule.condition.unit, (96.0, 100.0))
    reading = Reading(now, "breach", value=value, limit=limit)
    life = {"since": now, "at": now, "level": ""}
    made = build_alert(rule, series, reading, state=life, evidence=Evidence([], []))
    made = structs.replace(
        made, episode=f"test-{now}", labels={**made.labels, **labels}, verdict="", ends=None
    )
    if severity is None:
        return made
    labelled = {**made.labels, "severity": severity} if "severity" in made.labels else made.labels
    return structs.replace(made, severity=severity, labels=labelled)


def _way(alert: Alert, route: Route, routing: Routing, *, channel: str, place: str) -> Iterator[str]:
    """Yield lines about the alert, its channel, and the reason for it."""
    marks = ", ".join(f"{name}={value}" for name, value in alert.marks.items())
    yield f"A sample of {alert.rule} ({marks})"
    if not place:
        why = "a webhook has no other"
    elif channel:
        why = "as --channel says"
    elif alert.channel:
        why = "as the rule's own notify says"
    elif route.channel:
        why = f"by the route {', '.join(map(str, route.matchers)) or 'that matches everything'}"
    else:
        why = "the default channel: no route names another"
    yield f"goes to {place or WEBHOOK}, {why}."
    if (muted := routing.muted(route, alert.at)) is not None:
        yield f"A real one would be muted now, by {muted}."


def add(alerts: typer.Typer) -> None:
    """Put the command with the others about alerts."""
    alerts.command("send-test")(send_test)
