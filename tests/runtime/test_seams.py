"""What stages and sinks may have beside is in their types: nobody probes for it, and nothing is `Any`."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from llmvitals import stage
from llmvitals.combine import Combine
from llmvitals.incidents import IncidentSink
from llmvitals.merge import Merge
from llmvitals.score import Score
from llmvitals.store.influx.store import InfluxStore
from llmvitals.store.sqlite.store import SqliteStore

SRC = Path(stage.__file__).parent
TREES = {path: ast.parse(path.read_text()) for path in sorted(SRC.rglob("*.py"))}
PROBED = {"stage", "sink", "store", "notifier", "scorer", "binding", "backend"}
SEAMS = (
    "stage.py", "score/protocol.py", "store/protocol.py", "notify/protocol.py", "runtime/reload.py",
    *(f"runtime/kafka/{name}.py" for name in (
        "feed", "stage_runner", "partition_task", "sink_runner", "sink_task", "sink_position",
        "cut_series", "dead_letters",
    )),
)  # fmt: skip


def probes(tree: ast.AST) -> list[int]:
    """The lines on which getattr or hasattr is asked of something called as in PROBED."""
    return [
        node.lineno
        for node in ast.walk(tree)
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Name)
        and node.func.id in {"getattr", "hasattr"}
        and PROBED & set(ast.unparse(node.args[0]).lower().replace("_", ".").split("."))
    ]


def anys(tree: ast.AST) -> list[int]:
    """The lines on which `Any` stands."""
    return [node.lineno for node in ast.walk(tree) if isinstance(node, ast.Name) and node.id == "Any"]


def test_nobody_probes_a_stage_a_sink_a_store_a_notifier_or_a_scorer() -> None:
    assert {
        str(path.relative_to(SRC)): lines for path, tree in TREES.items() if (lines := probes(tree))
    } == {}


@pytest.mark.parametrize("name", SEAMS)
def test_nothing_at_a_seam_is_of_any_type(name: str) -> None:
    assert anys(TREES[SRC / name]) == []


def test_a_probe_and_an_any_would_be_found() -> None:
    assert probes(ast.parse("getattr(line.sink, 'needs', None)\nhasattr(lane.stage, 'promise')")) == [1, 2]
    assert anys(ast.parse("def sink(self) -> Any: ...")) == [1]


@pytest.mark.parametrize("kind", [Combine, Merge, Score])
def test_stages_are_stages(kind: type) -> None:
    assert stage.Stage in kind.__mro__


@pytest.mark.parametrize("kind", [IncidentSink, InfluxStore, SqliteStore])
def test_sinks_are_sinks(kind: type) -> None:
    assert stage.Sink in kind.__mro__


def test_what_a_stage_or_a_sink_must_do_is_asked_for_when_it_is_made() -> None:
    class Idle(stage.Stage):
        next = 0

    class End(stage.Sink):
        pass

    with pytest.raises(TypeError, match="apply"):
        Idle()  # type: ignore[abstract]
    with pytest.raises(TypeError, match="take"):
        End()  # type: ignore[abstract]
