"""Runs the programs of tests/integrations: a library in its own environment, against `ModelApi`."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from llmvitals.errors import Unavailable
from llmvitals.ingest import decode
from llmvitals.price import Prices
from llmvitals.record.call import Call
from model_api import ModelApi
from real_parts import unavailable
from waiting import deadline

ROOT = Path(__file__).parents[2]
PROGRAMS = ROOT / "tests" / "integrations" / "programs"


class Scenario(NamedTuple):
    """What one scenario of a program did. events: as they were published. saw: what the application did."""

    events: list[dict[str, Any]]
    saw: Any

    @property
    def calls(self) -> list[Call]:
        """The events as ingest reads them."""
        found = [decode(json.dumps(event).encode()) for event in self.events]
        return [call for record in found for call in record.calls]

    @property
    def call(self) -> Call:
        """The only one."""
        (call,) = self.calls
        return call


@dataclass(frozen=True)
class Run:
    """A program that has ended. log: what it and its library logged. requests: that the API got."""

    scenarios: dict[str, Scenario]
    log: str
    requests: list[dict[str, Any]]

    def __getitem__(self, name: str) -> Scenario:
        return self.scenarios[name]


def execute(program: str, environment: str, url: str, *more: str) -> subprocess.CompletedProcess[str]:
    """Run a program of tests/integrations/programs in `.venv/ENVIRONMENT`; skips where that is not.

    more: arguments after the address.
    """
    python = ROOT / ".venv" / environment / "bin" / "python"
    if not python.exists():
        unavailable(Unavailable(f"tests/{environment}.txt is not installed: `make test` does that"))
    paths = os.pathsep.join(map(str, (ROOT / "src", ROOT / "tests" / "support")))
    return subprocess.run(
        [python, PROGRAMS / f"{program}.py", url, *more],
        env={"PATH": os.environ["PATH"], "PYTHONPATH": paths, "LITELLM_LOCAL_MODEL_COST_MAP": "True"},
        capture_output=True, text=True, timeout=deadline(60), check=False,
    )  # fmt: skip


def run(program: str, environment: str) -> Run:
    """Run a program against `ModelApi`, and read what it has told of its scenarios."""
    with ModelApi() as api:
        done = execute(program, environment, api.url)
    assert done.returncode == 0, done.stderr[-5_000:]
    lines = [json.loads(line) for line in done.stdout.splitlines() if line.startswith('{"scenario"')]
    return Run(
        {line["scenario"]: Scenario(line["events"], line["saw"]) for line in lines}, done.stderr, api.requests
    )


def assert_first_token(call: Call) -> None:
    """The first token came after the beginning of the call, and before its end."""
    assert call.ttft_ms is not None
    assert call.latency_ms is not None
    assert 0 < call.ttft_ms <= call.latency_ms


_prices = Prices()


def dollars(call: Call) -> float | None:
    """What llmvitals says that a call costs."""
    nano = _prices.price(call)
    return None if nano is None else nano / 1e9


def bounds(call: Call) -> tuple[float, float] | None:
    """What llmvitals says that an unmetered call may cost at least and at most; None without an estimate."""
    found = _prices.unmetered(call)
    return (found.low / 1e9, found.high / 1e9) if found and found.estimated else None


def strings(value: Any) -> Iterator[str]:
    """Every text in a value, names included."""
    if isinstance(value, dict):
        for name, inner in value.items():
            yield name
            yield from strings(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from strings(inner)
    else:
        yield str(value)
