"""The commands `silence` and `alerts list`: what they refuse, and what they show of the topics."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest
from typer.testing import CliRunner

from desks import HOUR, MINUTE, alert
from llmvitals.cli import app
from llmvitals.cli import silence as commands
from llmvitals.record.incident import Case, Incident
from llmvitals.record.incident import encode as written
from llmvitals.record.log import Topic
from llmvitals.record.matcher import parsed
from llmvitals.record.user_action import Acknowledgement, Silence, decode, encode

NOW = time.time_ns() // 1_000


class Topics:
    """The topics as the commands read and write them."""

    def __init__(self) -> None:
        self.values: dict[Topic, list[bytes]] = {Topic.INCIDENTS: [], Topic.SILENCES: []}
        self.made: list[Silence] = []

    async def read(self, settings: Any, topic: Topic, reader: Any) -> list[Any]:
        return [reader(value) for value in self.values[topic]]

    async def write(self, settings: Any, made: Silence) -> None:
        self.made.append(made)


@pytest.fixture
def topics(monkeypatch: pytest.MonkeyPatch) -> Topics:
    made = Topics()
    monkeypatch.setattr(commands, "read_topic", made.read)
    monkeypatch.setattr("llmvitals.cli.alerts.read_topic", made.read)
    monkeypatch.setattr(commands, "write_action", made.write)
    return made


def run(*words: str, code: int = 0, columns: int = 200) -> str:
    result = CliRunner(env={"COLUMNS": f"{columns}", "TERM": "dumb"}).invoke(app, words)
    assert result.exit_code == code, result.output
    return " ".join(result.output.split())


def kept(name: str = "s1", **changes: Any) -> Silence:
    fields: dict[str, Any] = {
        "id": name, "matchers": (parsed("team=search"),), "starts": NOW - MINUTE, "ends": NOW + HOUR,
        "by": "Ann",
    }  # fmt: skip
    return Silence(**(fields | changes))


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "this would silence everything"),
        (["team=~.*"], "this would silence everything"),
        (["team=", "rule!=Slow"], "name at least one label with a value, such as team=search"),
        (["team"], "write label=value"),
        (["team=~("], "the regex is wrong"),
        (["team=search", "--for", "91d"], "at most 90d"),
        (["team=search", "--for", "0s"], "more than 0s"),
        (["team=search", "--for", "soon"], "is no duration"),
    ],
)
def test_what_would_silence_too_much_is_refused(topics: Topics, words: list[str], said: str) -> None:
    assert said in run("silence", "add", *words, code=2).replace("│ │ ", "")
    assert topics.made == []


def test_a_silence_says_until_when_and_how_many_it_covers(topics: Topics) -> None:
    topics.values[Topic.INCIDENTS] = [
        written(Case(alert=alert(team, status), fresh=True))
        for team, status in (("search", "firing"), ("ads", "firing"), ("search", "resolved"))
    ]
    said = run("silence", "add", "team=search", "rule=~Team.*", "--for", "2h", "--by", "Ann", "--override")
    (made,) = topics.made
    assert f"{made.id} until " in said
    assert said.endswith("1 alert that fires now matches")
    assert (made.by, made.kind, made.ends - made.starts) == ("Ann", "override", 2 * HOUR)
    assert [str(matcher) for matcher in made.matchers] == ['team="search"', 'rule=~"Team.*"']
    assert decode(encode(made)) == made


def test_silences_are_listed_while_they_last(topics: Topics) -> None:
    ended = kept("old", ends=NOW - 1)
    ack = Acknowledgement(incident="i", by="Bob", at=NOW)
    topics.values[Topic.SILENCES] = [*map(encode, (kept(comment="[red]moving"), ended)), encode(ack)]
    said = run("silence", "list")
    assert 's1 team="search" ' in said
    assert "Ann [red]moving" in said
    assert "old" not in said
    assert "old" in run("silence", "list", "--ended")
    assert json.loads(run("silence", "list", "--json"))["id"] == "s1"
    topics.values[Topic.SILENCES] = []
    assert run("silence", "list") == "Nothing is silenced."


def test_an_expired_silence_is_written_again_with_its_end(topics: Topics) -> None:
    topics.values[Topic.SILENCES] = [encode(kept()), encode(kept("old", ends=NOW - 1))]
    assert run("silence", "expire", "s1") == "s1 is over"
    (made,) = topics.made
    assert NOW <= made.ends <= time.time_ns() // 1_000
    for name, said in (("s2", "there is no silence s2"), ("old", "has ended already")):
        result = CliRunner().invoke(app, ["silence", "expire", name])
        assert said in str(result.exception)


def test_what_fires_is_listed_with_its_state(topics: Topics) -> None:
    incidents = [
        Incident(id="told", channel="C1", since=NOW, born=NOW, posted=True, place=("C1", "17.01")),
        Incident(id="ack", channel="C1", since=NOW, born=NOW, acknowledged=("Bob", NOW)),
        Incident(id="quiet", channel="C1", since=NOW, born=NOW, unheard="silenced by Ann until noon"),
        Incident(id="soon", channel="C1", since=NOW, born=NOW),
    ]
    cases = [Case(alert=alert(each.id), fresh=True, incident=each.id) for each in incidents]
    cases += [Case(alert=alert("old"), fresh=False), Case(alert=alert("over", "resolved"), fresh=True)]
    topics.values[Topic.INCIDENTS] = [written(each) for each in (*incidents, *cases)]
    rows = [json.loads(line) for line in run("alerts", "list", "--json").replace("} {", "}\n{").splitlines()]
    assert {row["labels"]["team"]: row["state"] for row in rows} == {
        "told": "told",
        "ack": "acknowledged by Bob",
        "quiet": "silenced by Ann until noon",
        "soon": "waits to be told",
        "old": "held until llmvitals has caught up",
    }
    said = run("alerts", "list", columns=80)
    assert "2025-01-01 12:00 UTC TeamBudget $64 told critical team=told peak $64 " in said
    assert "limit $100 C1 17.01" in said
    assert "…" not in said, "nothing is cut on a narrow terminal"
    topics.values[Topic.INCIDENTS] = []
    assert run("alerts", "list") == "Nothing fires."


@pytest.mark.parametrize(
    "words", [["alerts", "list"], ["silence", "list"], ["silence", "add", "team=search"]]
)
def test_a_kafka_that_is_not_there_is_said(words: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LLMVITALS_BROKERS", "127.0.0.1:9")
    result = CliRunner().invoke(app, words)
    assert result.exit_code == 1
    assert "Kafka at 127.0.0.1:9 can't be reached" in str(result.exception)
