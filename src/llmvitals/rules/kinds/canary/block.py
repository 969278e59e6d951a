"""The block of minutes that is under way: the sums of two arms so far, as plain data."""

from __future__ import annotations

from operator import add
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from llmvitals.rules.kinds.canary import endpoints
from llmvitals.rules.kinds.canary.endpoints import ARM, COMPARED, RATES
from llmvitals.sketch.cells import CELLS, PARTS
from llmvitals.stats import recent

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from llmvitals.record.vitals import Vitals
    from llmvitals.sketch.cells import Sparse

    Floats = NDArray[np.float64]

Block = dict[str, Any]
"""began: its first minute · sums: of both arms (see endpoints.picked) · cells: of the minute under way, of
each arm keys (uint32) and values · weighed: the calls and events of the minutes before (SHAPE), by weight:
where they are not 0 (uint32), and what they are (float32) · totals: the same without weights, of all cells ·
named: see endpoints.Minute · scores: name → [count, sum and squares of both arms], and of each arm keys and
values · minute: the calls that have no cells."""
SHAPE: Final = (2, 2, COMPARED, CELLS)
"""Calls and events, by arm (control first), row and cell."""


def opened(minute: int) -> Block:
    """An empty block."""
    return {
        "began": minute,
        "sums": [endpoints.no_sums(), endpoints.no_sums()],
        "cells": _no_cells(),
        "weighed": [b"", b""],
        "totals": bytes(8 * 2 * 2 * COMPARED),
        "named": [0, 0, 0],
        "scores": {},
        "minute": 0,
    }


def put(block: Block, side: int, vitals: Vitals, minute: int) -> None:
    """Add a pane of an arm; side: 0 for the control."""
    block["sums"][side] = list(map(add, block["sums"][side], endpoints.picked(vitals)))
    _put_cells(block, side, vitals, minute)
    if vitals.scores:
        _put_scores(block["scores"], side, vitals, minute)


def weigh(block: Block, edges: endpoints.Edges, held: list[Any], minute: int) -> list[Any]:
    """Add the calls of the minute by weight; held: what is remembered (see recent), and returned anew."""
    if not any(keys for keys, _ in block["cells"]):
        return held
    found = endpoints.minute(*cells(block["cells"], ARM), edges)
    both = np.stack((found.n, found.k))
    block["totals"] = (totals(block) + both.sum(axis=3)).tobytes()
    block["named"] = list(map(add, block["named"], found.named))
    of_rates = both[:, :, : len(RATES)]
    pooled = of_rates.sum(axis=1)
    of_rates *= recent.weights(held, minute)
    all_weighed = (weighed(block) + both).ravel()
    (places,) = np.nonzero(all_weighed)
    block["weighed"] = [places.astype(np.uint32).tobytes(), all_weighed[places].astype(np.float32).tobytes()]
    block["cells"] = _no_cells()
    return list(recent.step(held, minute, *pooled))


def weighed(block: Block) -> Floats:
    """The calls and events of the minutes that are over, by weight (SHAPE)."""
    places, values = block["weighed"]
    found = np.zeros(SHAPE)
    found.reshape(-1)[np.frombuffer(places, np.uint32)] = np.frombuffer(values, np.float32)
    return found


def totals(block: Block) -> Floats:
    """The calls and events of the minutes that are over (2 × 2 arms × COMPARED), without weights."""
    return np.frombuffer(block["totals"]).reshape(SHAPE[:-1])


def cells(sides: list[list[bytes]], width: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Keys and values of both arms; the canary's keys are higher by width."""
    keys = np.frombuffer(sides[0][0] + sides[1][0], np.uint32).astype(np.int64)
    keys[len(sides[0][0]) // 4 :] += width
    return keys, np.frombuffer(sides[0][1] + sides[1][1], np.int64)


def compact_scores(block: Block) -> None:
    """Add up equal keys of the cells of scores."""
    for _, *sides in block["scores"].values():
        for held in sides:
            _compact(held)


def _put_cells(block: Block, side: int, vitals: Vitals, minute: int) -> None:
    if vitals.cells is None:
        cells = endpoints.one_cell(vitals, _cell(minute))
        block["minute"] += vitals.total("calls")
    else:
        cells = vitals.cells.sums
    _append(block["cells"][side], cells)


def _put_scores(open_scores: Block, side: int, vitals: Vitals, minute: int) -> None:
    held = vitals.cells.scores if vitals.cells else {}
    for name, score in vitals.scores.items():
        counts, *cells = open_scores.setdefault(name, [[0] * 6, *_no_cells()])
        inside = slice(3 * side, 3 * side + 3)
        counts[inside] = map(add, counts[inside], score)
        _append(cells[side], held.get(name) or endpoints.one_cell_of_score(score, _cell(minute)))


def _cell(minute: int) -> int:
    """The cell of calls that have none: each minute is as a user of its own, with one session."""
    return minute * PARTS % CELLS


def _no_cells() -> list[list[bytes]]:
    """For each arm no keys and no values."""
    return [[b"", b""], [b"", b""]]


def _append(held: list[bytes], cells: Sparse) -> None:
    held[0] += cells[0].tobytes()
    held[1] += cells[1].tobytes()


def _compact(held: list[bytes]) -> None:
    """Add up equal keys."""
    keys, places = np.unique(np.frombuffer(held[0], np.uint32), return_inverse=True)
    sums = np.zeros(len(keys), np.int64)
    np.add.at(sums, places, np.frombuffer(held[1], np.int64))
    held[:] = [keys.tobytes(), sums.tobytes()]
