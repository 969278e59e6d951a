"""How well a scorer tells toxic texts: `python -m benchmarks.toxicity --texts FILE.csv [--scorer NAME]`.

FILE has the columns `text` and one of `is_toxic`, `toxic`, `label`; toxic is what is 1, true, yes or toxic
there. The AUC is the share of pairs (a toxic text, another) in which the toxic one has the higher score, ties
by half; its interval (95 %) by 2,000 bootstrap samples. Beside it: who is over 0.5, which is what
`toxicity_share` counts, and texts a second by the batch. Nothing of the texts is shown.
"""

from __future__ import annotations

import argparse
import csv
import json
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.console import Console

from llmvitals.score import Scorer, find
from llmvitals.score.process_main import load

LONGEST = 8_000
LABELS = ("is_toxic", "toxic", "label")
YES = {"1", "1.0", "true", "yes", "toxic"}
BATCHES = (1, 16, 256)


def read(file: Path) -> tuple[list[str], NDArray[np.bool_]]:
    """The texts, and which of them are toxic."""
    with file.open(encoding="utf-8", newline="") as lines:
        rows = list(csv.DictReader(lines))
    name = next((name for name in LABELS if rows and name in rows[0]), None)
    if name is None or "text" not in rows[0]:
        raise SystemExit(f"{file}: needs a column text and one of {', '.join(LABELS)}")
    toxic = np.array([row[name].strip().lower() in YES for row in rows])
    if toxic.all() or not toxic.any():
        raise SystemExit(f"{file}: needs texts of both kinds")
    return [row["text"][:LONGEST] for row in rows], toxic


def auc(scores: NDArray[np.float64], toxic: NDArray[np.bool_]) -> float:
    """Area under the ROC curve, by ranks (Mann-Whitney); 0 … 1, 0.5 is chance."""
    _, place, count = np.unique(scores, return_inverse=True, return_counts=True)
    ranks = (np.cumsum(count) - (count - 1) / 2)[place]
    many = int(toxic.sum())
    return float((ranks[toxic].sum() - many * (many + 1) / 2) / (many * (len(toxic) - many)))


def interval(scores: NDArray[np.float64], toxic: NDArray[np.bool_]) -> tuple[float, float]:
    """Where 95 % of bootstrap samples of the same size put the AUC."""
    dice = np.random.default_rng(1)
    groups = np.flatnonzero(toxic), np.flatnonzero(~toxic)
    found = []
    for _ in range(2_000):
        some = np.concatenate([dice.choice(group, len(group)) for group in groups])
        found.append(auc(scores[some], toxic[some]))
    low, high = np.quantile(found, (0.025, 0.975))
    return float(low), float(high)


def speed(scorer: Scorer, texts: Sequence[str], batch: int) -> float:
    """Texts a second, of at most two seconds' worth."""
    done, began = 0, time.perf_counter()
    while time.perf_counter() - began < 2:
        start = done % max(1, len(texts) - batch)
        scorer(texts[start : start + batch])
        done += min(batch, len(texts))
    return done / (time.perf_counter() - began)


def measure(name: str, file: Path) -> dict[str, Any]:
    """All figures of a scorer on a file."""
    texts, toxic = read(file)
    scorer = load(find(name))
    if scorer.gives == "embedding":
        raise SystemExit(f"{name} gives embeddings, no toxicity")
    scores = np.concatenate([np.asarray(scorer(texts[n : n + 256])) for n in range(0, len(texts), 256)])
    low, high = interval(scores, toxic)
    return {
        "name": f"toxicity/{scorer.name}", "texts": len(texts), "toxic": int(toxic.sum()),
        "auc": auc(scores, toxic), "auc_low": low, "auc_high": high,
        "found_at_0.5": float((scores[toxic] >= 0.5).mean()),
        "wrong_at_0.5": float((scores[~toxic] >= 0.5).mean()),
    } | {f"texts_per_s_batch_{batch}": speed(scorer, texts, batch) for batch in BATCHES}  # fmt: skip


def main() -> None:
    """Measure, print, and write the JSON where asked."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--texts", type=Path, required=True)
    parser.add_argument("--scorer", default="profanity")
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    row = measure(given.scorer, given.texts)
    for key, value in row.items():
        Console(highlight=False).print(
            f"{key:>22}  {value:,.3f}" if isinstance(value, float) else f"{key:>22}  {value}"
        )
    if given.json:
        given.json.write_text(json.dumps([row], indent=1))


if __name__ == "__main__":
    main()
