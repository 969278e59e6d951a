"""The changes of alerts that a store holds (`llm_alerts`), the same from InfluxDB and from SQLite."""

from __future__ import annotations

import asyncio
import json
import sqlite3
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from llmvitals.errors import ConfigError, SinkError
from llmvitals.record.columns import ALERTS, COUNTS, MEASURES, TEXTS
from llmvitals.write import flux
from llmvitals.write.sqlite import BUSY, failure

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from llmvitals.settings import Settings

_TAGS: Final = ("rule", "kind", "severity", "state", "fingerprint", "facet")
_FIELDS: Final = (*COUNTS[ALERTS], *MEASURES[ALERTS], *TEXTS[ALERTS])


@dataclass(frozen=True, slots=True)
class Change:
    """One change of one alert's state; see record/columns. at: µs."""

    at: int
    rule: str
    kind: str
    severity: str
    state: str
    fingerprint: str
    facet: str
    episode: str
    level: str
    by: str
    value: float
    limit: float
    unit: str
    seconds: float
    labels: Mapping[str, str]


async def changes(settings: Settings, since: int, until: int) -> list[Change]:
    """All changes with since ≤ at < until (µs), in the order of their times.

    From InfluxDB where one is set, else from SQLite. Raises ConfigError where no store is set, SinkError when
    the store says no.
    """
    if settings.influx_url:
        found = await flux.points(settings, flux.whole(settings.influx_bucket, ALERTS, since, until))
    elif settings.sqlite is not None:
        found = await asyncio.to_thread(_rows, settings.sqlite, since, until)
    else:
        raise ConfigError("No store is set: set LLMVITALS_SQLITE or LLMVITALS_INFLUX_URL (see `config show`)")
    made = [_change(at, tags, fields) for at, tags, fields in found if since <= at < until]
    return sorted(made, key=lambda change: (change.at, change.rule, change.fingerprint, change.state))


def _rows(path: Path, since: int, until: int) -> list[tuple[int, dict[str, str], dict[str, Any]]]:
    if not path.exists():
        raise SinkError(f"SQLite file {path}: it is not there yet; a worker makes it", retry=True)
    try:
        with closing(sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True, timeout=BUSY)) as store:
            there = {column for _, column, *_ in store.execute(f'PRAGMA table_info("{ALERTS}")')}
            if not there:
                return []
            names = [name for name in _FIELDS if name in there]
            columns = "".join(f', "{name}"' for name in names)
            found = store.execute(
                f'SELECT "start", "tags"{columns} FROM "{ALERTS}" WHERE "start" >= ? AND "start" < ?',  # noqa: S608 - the names are record/columns' own
                (since, until),
            )
            return [
                (start, json.loads(tags), dict(zip(names, values, strict=True)))
                for start, tags, *values in found
            ]
    except sqlite3.Error as error:
        raise failure(error, path) from error


def _change(at: int, tags: Mapping[str, str], fields: Mapping[str, Any]) -> Change:
    """A change; what an older point lacks is left empty."""
    found: dict[str, Any] = {name: tags.get(name, "") for name in _TAGS}
    found |= {name: float(fields.get(name) or 0.0) for name in MEASURES[ALERTS]}
    found |= {name: fields.get(name) or "" for name in TEXTS[ALERTS]}
    return Change(at=at, **{**found, "labels": _labels(found["labels"])})


def _labels(text: str) -> dict[str, str]:
    try:
        found = json.loads(text or "{}")
    except ValueError:  # a text field is cut at 1,024 characters
        return {}
    return {str(name): str(value) for name, value in found.items()} if isinstance(found, dict) else {}
