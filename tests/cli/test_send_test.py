"""`llmvitals alerts send-test`: the whole way to Slack, said in words."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path
from textwrap import dedent
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from typer.testing import CliRunner

from commands import Said
from llmvitals.cli import app
from llmvitals.settings import Settings
from llmvitals.testing import FakeSlack

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

RULES = """
groups:
- name: latency
  labels: {severity: warning}
  rules:
  - alert: SlowAnswers
    threshold: {metric: latency_p95, above: 4s, by: [app], window: 5m, min_calls: 50}
  - alert: TeamBudget
    budget: {metric: cost, limit: 500, per: month, by: [team]}
    notify: {slack: "#budget"}
notify:
  routes:
  - match: [severity=critical]
    slack: "#pages"
"""


@pytest.fixture
async def slack() -> AsyncIterator[FakeSlack]:
    async with FakeSlack(["#alerts", "#budget", "#pages"]) as fake:
        yield fake


@pytest.fixture
def send(slack: FakeSlack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "alerts").mkdir()
    (tmp_path / "alerts" / "rules.yaml").write_text(RULES)

    async def sent(*words: str, **settings: str) -> Said:
        fields = {
            "slack_token": slack.token, "slack_channel": "#alerts", "slack_api_url": slack.url,
            "slack_app_token": slack.app_token,
        } | settings  # fmt: skip
        env = {f"LLMVITALS_{name.upper()}": value for name, value in fields.items()} | {"COLUMNS": "400"}
        command = ["alerts", "send-test", *words]
        result = await asyncio.to_thread(CliRunner().invoke, app, command, env=env)
        return Said(result.exit_code, result.stdout, result.stderr)

    return sent


async def test_a_samples_whole_life_is_seen_in_slack_and_said(slack: FakeSlack, send: Any) -> None:
    said = await send()
    assert said.code == 0, said.text
    (message,) = slack.messages
    assert message.channel_name == "#alerts"
    assert "nothing is wrong" in message.shown
    assert "6.24 s · limit 4 s · warning · SlowAnswers · Latency p95" in message.edits[0][0]
    assert "Resolved: " in message.text
    assert [reply.split("> ")[1] for reply in message.thread] == ["resolved after 1 min"]
    for words in (
        "A sample of SlowAnswers (app=example, severity=warning, rule=SlowAnswers, kind=threshold)",
        "goes to #alerts, the default channel: no route names another.",
        f"Posted the message {message.ts} in {message.channel}.",
        "Edited the message",
        "Its buttons will be heard",
    ):
        assert words in said.text


@pytest.mark.parametrize(
    ("words", "channel", "why"),
    [
        (["--severity", "critical"], "#pages", 'by the route severity="critical"'),
        (["--rule", "TeamBudget", "--label", "team=search"], "#budget", "as the rule's own notify says"),
        (["--rule", "TeamBudget", "--channel", "#pages"], "#pages", "as --channel says"),
    ],
)
async def test_it_takes_the_way_of_a_real_one(
    slack: FakeSlack, send: Any, words: list[str], channel: str, why: str
) -> None:
    said = await send(*words, slack_app_token="")
    assert said.code == 0, said.text
    assert [message.channel_name for message in slack.messages] == [channel]
    assert f"goes to {channel}, {why}" in said.text
    assert "LLMVITALS_SLACK_APP_TOKEN" in said.text


@pytest.mark.parametrize(
    ("words", "settings", "why"),
    [
        ([], {"slack_token": "xoxb-planted"}, "invalid_auth: set LLMVITALS_SLACK_TOKEN to the bot token"),
        (["--channel", "#gone"], {}, "channel #gone: channel_not_found: name an existing channel"),
        (
            [],
            {"slack_app_token": "xapp-1-planted"},
            "buttons are not heard: invalid_auth: set LLMVITALS_SLACK_APP",
        ),
        ([], {"slack_token": "", "slack_app_token": ""}, "no Slack is set: set LLMVITALS_SLACK_TOKEN"),
    ],
)
async def test_what_does_not_get_there_is_said_with_its_cure(
    send: Any, words: list[str], settings: dict[str, str], why: str
) -> None:
    said = await send(*words, **settings)
    assert said.code == 1
    assert why in said.text
    assert "planted" not in said.text


async def test_without_any_slack_no_webhook_is_spoken_of(send: Any) -> None:
    assert "webhook" not in (await send(slack_token="", slack_app_token="")).text


async def test_a_slack_that_is_away_is_said(slack: FakeSlack, send: Any) -> None:
    slack.fail_next(status=503, times=9)
    said = await send()
    assert (said.code, "http_503" in said.text) == (1, True)


async def test_a_webhook_gets_two_messages(slack: FakeSlack, send: Any) -> None:
    said = await send(slack_token="", slack_app_token="", slack_webhook=slack.webhook_url)
    assert said.code == 0, said.text
    assert len(slack.messages) == 2
    assert "goes to the webhook's channel" in said.text
    assert "can't edit" in said.text
    assert "fake-webhook-secret" not in said.text


async def test_a_rule_that_is_not_there_is_said_with_the_nearest(send: Any) -> None:
    said = await send("--rule", "TeamBudgets")
    assert said.code == 2
    assert "did you mean TeamBudget?" in said.text


def test_the_manual_asks_for_what_is_used_and_names_settings_that_there_are() -> None:
    manual = (Path(__file__).parents[2] / "docs" / "slack.md").read_text("utf-8")
    block = re.search(r"```yaml\n(.*?)```", manual, re.DOTALL)
    assert block is not None
    manifest = yaml.safe_load(dedent(block[1]))
    assert manifest["oauth_config"]["scopes"]["bot"] == [
        "chat:write",
        "channels:history",
        "usergroups:read",
    ]
    assert manifest["settings"]["socket_mode_enabled"] is True
    assert manifest["settings"]["interactivity"]["is_enabled"] is True
    named = {name.lower() for name in re.findall(r"LLMVITALS_([A-Z_]+[A-Z])", manual)}
    assert named <= set(Settings.model_fields)
    for picture in re.findall(r"\((slack/\w+\.png)\)", manual):
        assert (Path(__file__).parents[2] / "docs" / picture).is_file()


async def test_a_dry_run_says_where_and_what_and_sends_nothing(slack: FakeSlack, send: Any) -> None:
    done = await send("--dry-run", "--rule", "TeamBudget", "--label", "team=search")
    assert done.code == 0
    assert "goes to #budget, as the rule's own notify says." in done.out
    assert "Nothing was sent. It would say:" in done.out
    assert "$96 of $100" in done.out
    assert slack.messages == []


def test_a_dry_run_needs_no_slack(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "alerts").mkdir()
    (tmp_path / "alerts" / "rules.yaml").write_text(RULES)
    done = CliRunner().invoke(app, ["alerts", "send-test", "--dry-run", "--severity", "critical"])
    assert done.exit_code == 0
    assert "goes to #pages, by the route severity" in done.output
