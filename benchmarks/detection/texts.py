"""Texts with topics from a CSV, the rarest topics held out as the new ones."""

from __future__ import annotations

import csv
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

HELD_OUT: Final = 0.16
"""Share of the topics that are held out, the rarest first."""
FEWEST: Final = 100
"""Rows that a file needs."""
FEWEST_NEW: Final = 20
"""Texts that the held-out topics need together."""
MOST: Final = 20_000
"""Texts that are used of a longer file, drawn at random."""
LABELS: Final = ("label", "category")


@dataclass(frozen=True, slots=True)
class Texts:
    """texts: of known topics first, sorted by topic, then of the held-out ones, sorted too.

    sizes: texts of each known topic. new: of each that is held out. held_out: their names.
    """

    texts: list[str]
    sizes: NDArray[np.int64]
    new: NDArray[np.int64]
    held_out: list[str]


def read(path: Path, seed: int) -> Texts:
    """The texts of a file. Raises SystemExit where it is not what it should be."""
    rows = _rows(path)
    if len(rows) < FEWEST:
        raise SystemExit(f"{path}: {len(rows)} rows with a text and a label: at least {FEWEST} are needed")
    if len(rows) > MOST:
        chosen = np.random.default_rng(seed).choice(len(rows), MOST, replace=False)
        rows = [rows[n] for n in np.sort(chosen)]
    counts = Counter(label for _, label in rows)
    if len(counts) < 2:
        raise SystemExit(f"{path}: only one label: at least 2 are needed, the rarest is held out as new")
    rarest = sorted(counts, key=lambda label: (counts[label], label))
    wanted = max(1, round(HELD_OUT * len(rarest)))
    while wanted < len(rarest) // 2 and sum(counts[name] for name in rarest[:wanted]) < FEWEST_NEW:
        wanted += 1
    held_out = set(rarest[:wanted])
    known = sorted((row for row in rows if row[1] not in held_out), key=lambda row: row[1])
    new = sorted((row for row in rows if row[1] in held_out), key=lambda row: row[1])
    sizes, theirs = (np.array(list(Counter(label for _, label in part).values())) for part in (known, new))
    return Texts([text for text, _ in known + new], sizes, theirs, sorted(held_out))


def _rows(path: Path) -> list[tuple[str, str]]:
    """(text, label) of all rows that have both."""
    csv.field_size_limit(2**27)
    try:
        with path.open(encoding="utf-8-sig", errors="replace", newline="") as file:
            reader = csv.DictReader(line.replace("\0", "") for line in file)
            names = {(name or "").strip().lower(): name for name in reader.fieldnames or ()}
            label = next((names[name] for name in LABELS if name in names), None)
            if "text" not in names or label is None:
                raise SystemExit(f"{path}: columns {list(names)}: there must be text and label (or category)")
            text = names["text"]
            pairs = [((row[text] or "").strip(), (row[label] or "").strip()) for row in reader]
    except OSError as error:
        raise SystemExit(f"{path}: can't be read: {error.strerror}") from error
    except csv.Error as error:
        raise SystemExit(f"{path}: not a CSV: {error}") from error
    return [pair for pair in pairs if all(pair)]
