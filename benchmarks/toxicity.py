"""How well a scorer tells toxic texts: `python -m benchmarks.toxicity --texts FILE.csv [--scorer NAME]`.

FILE has the columns `text` and one of `is_toxic`, `toxic`, `label`; toxic is what is 1, true, yes or toxic
there. The AUC is the share of pairs (a toxic text, another) in which the toxic one has the higher score, ties
by half; its interval (95 %) by 2,000 bootstrap samples. Beside it: who is over 0.5, which is what
`toxicity_share` counts, and texts a second by the batch. Nothing of the texts is shown.

`--hatecheck test_suite_cases.csv` (github.com/paul-rottger/hatecheck-data, CC-BY-4.0) adds HateCheck: 3,728
sentences, 2,563 of them hateful, made so that words alone do not tell. `--candidates` measures the scorer,
the packages of toxicity_candidates.py and a head trained on FILE, each in a process of its own on one core,
and makes a table; what can't be loaded is named.
"""

from __future__ import annotations

import argparse
import csv
import json
import multiprocessing
import os
import resource
import time
import warnings
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
from benchmarks.toxicity_candidates import CANDIDATES, Scores
from numpy.typing import NDArray
from rich.console import Console

from llmvitals.score import find
from llmvitals.score.process_main import load

LONGEST = 8_000
LABELS = ("is_toxic", "toxic", "label")
YES = {"1", "1.0", "true", "yes", "toxic"}
BATCHES = (1, 16, 256)
HEAD = "wordllama-head"
COLUMNS = {
    "auc": "AUC",
    "found_at_0.5": "found",
    "wrong_at_0.5": "wrong",
    "hatecheck_auc": "HateCheck AUC",
    "hatecheck_found_at_0.5": "found",
    "hatecheck_wrong_at_0.5": "wrong",
    "hatecheck_found_at_10%_wrong": "found at 10 % wrong",
    "hatecheck_ident_neutral_nh": "neutral identity wrong",
    "hatecheck_threat_dir_h": "threats found",
    "hatecheck_counter_quote_nh": "counter-speech wrong",
    "texts_per_s_batch_256": "texts/s",
    "peak_mb": "MB",
}
"""What the table shows; the JSON has all functionalities of HateCheck."""


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


def speed(scorer: Scores, texts: Sequence[str], batch: int) -> float:
    """Texts a second, of at most two seconds' worth."""
    done, began = 0, time.perf_counter()
    while time.perf_counter() - began < 2:
        start = done % max(1, len(texts) - batch)
        scorer(texts[start : start + batch])
        done += min(batch, len(texts))
    return done / (time.perf_counter() - began)


def found_at(wrong: float, scores: NDArray[np.float64], toxic: NDArray[np.bool_]) -> float:
    """The share of the toxic that is found at a share of wrong ones; linear between thresholds."""
    thresholds = np.unique(scores)[::-1]
    wrongs, founds = ([(scores[group] >= least).mean() for least in thresholds] for group in (~toxic, toxic))
    return float(np.interp(wrong, [0, *wrongs], [0, *founds]))


def score(scorer: Scores, texts: Sequence[str]) -> NDArray[np.float64]:
    """The scores of all texts, by batches."""
    return np.concatenate([np.asarray(scorer(texts[n : n + 256]), float) for n in range(0, len(texts), 256)])


def figures(scores: NDArray[np.float64], toxic: NDArray[np.bool_]) -> dict[str, float]:
    """What is told of a file's scores."""
    return {
        "auc": auc(scores, toxic),
        "found_at_0.5": float((scores[toxic] >= 0.5).mean()),
        "wrong_at_0.5": float((scores[~toxic] >= 0.5).mean()),
        "found_at_10%_wrong": found_at(0.1, scores, toxic),
    }


def on_hatecheck(scorer: Scores, file: Path) -> dict[str, float]:
    """The figures, and the share over 0.5 of each functionality: `_h` are hateful, `_nh` not."""
    with file.open(encoding="utf-8", newline="") as lines:
        rows = list(csv.DictReader(lines))
    scores = score(scorer, [row["test_case"] for row in rows])
    hateful = np.array([row["label_gold"] == "hateful" for row in rows])
    kinds = np.array([row["functionality"] for row in rows])
    over = {kind: float((scores[kinds == kind] >= 0.5).mean()) for kind in np.unique(kinds)}
    return {f"hatecheck_{name}": value for name, value in (figures(scores, hateful) | over).items()}


def head(texts: Sequence[str], toxic: NDArray[np.bool_]) -> tuple[NDArray[np.float64], Scores]:
    """A linear model of wordllama's vectors: the texts' scores by 5-fold cross-validation, and itself."""
    from sklearn.linear_model import LogisticRegressionCV  # noqa: PLC0415 - an extra
    from sklearn.model_selection import cross_val_predict  # noqa: PLC0415

    embed = load(find("wordllama"))
    vectors = np.asarray(embed(texts))
    model = LogisticRegressionCV(scoring="roc_auc", max_iter=3_000)
    own = cross_val_predict(model, vectors, toxic, cv=5, method="predict_proba")[:, 1]
    model.fit(vectors, toxic)
    return own, lambda some: model.predict_proba(np.asarray(embed(some)))[:, 1]


def scored(name: str, texts: Sequence[str], toxic: NDArray[np.bool_]) -> tuple[NDArray[np.float64], Scores]:
    """The scores of the texts by a scorer, a candidate or the head, and what scores others."""
    if name == HEAD:
        return head(texts, toxic)
    candidates = {make.__name__: make for make in CANDIDATES}
    if name in candidates:
        scorer = candidates[name]()
    else:
        found = load(find(name))
        if found.gives == "embedding":
            raise SystemExit(f"{name} gives embeddings, no toxicity")
        scorer = found
    return score(scorer, texts), scorer


def measure(name: str, file: Path, hatecheck: Path | None) -> dict[str, Any]:
    """All figures of a scorer on a file, and on HateCheck's if it is given."""
    texts, toxic = read(file)
    scores, scorer = scored(name, texts, toxic)
    low, high = interval(scores, toxic)
    return (
        {"name": f"toxicity/{name}", "texts": len(texts), "toxic": int(toxic.sum())}
        | figures(scores, toxic)
        | {"auc_low": low, "auc_high": high}
        | (on_hatecheck(scorer, hatecheck) if hatecheck else {})
        | {f"texts_per_s_batch_{batch}": speed(scorer, texts, batch) for batch in BATCHES}
        | {"peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024}
    )


def attempt(name: str, file: Path, hatecheck: Path | None) -> dict[str, Any]:
    """The figures, or why there are none: packages of others fail to load in ways of their own."""
    warnings.simplefilter("ignore")
    try:
        return measure(name, file, hatecheck)
    except ModuleNotFoundError as error:
        return {"name": f"toxicity/{name}", "skipped": f"{error.name} is not installed"}
    except Exception as error:  # noqa: BLE001
        return {"name": f"toxicity/{name}", "skipped": f"{type(error).__name__}: {error}"}


def compare(names: Sequence[str], file: Path, hatecheck: Path | None) -> Iterator[dict[str, Any]]:
    """The figures of each, measured in a process of its own on one core."""
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    spawn = multiprocessing.get_context("spawn")
    for name in names:
        with ProcessPoolExecutor(1, mp_context=spawn) as alone:
            yield alone.submit(attempt, name, file, hatecheck).result()


def table(rows: Sequence[dict[str, Any]]) -> Iterator[str]:
    """What was measured as a table of Markdown, and what was not; shares in percent, AUC 0 … 1."""
    yield "| " + " | ".join(("", *COLUMNS.values())) + " |"
    yield "|---" * (1 + len(COLUMNS)) + "|"
    for row in rows:
        if "skipped" not in row:
            cells = [f"{row[key]:{style(key)}}" if key in row else "" for key in COLUMNS]
            yield "| " + " | ".join((row["name"].removeprefix("toxicity/"), *cells)) + " |"
    for row in rows:
        if "skipped" in row:
            yield f"skipped {row['name']}: {row['skipped']}"


def style(key: str) -> str:
    """How a figure is written."""
    return ".3f" if key.endswith("auc") else ",.0f" if key in {"texts_per_s_batch_256", "peak_mb"} else ".0%"


def main() -> None:
    parser = argparse.ArgumentParser(prog="benchmarks.toxicity", description=__doc__)
    parser.add_argument("--texts", type=Path, required=True)
    parser.add_argument("--hatecheck", type=Path)
    parser.add_argument("--scorer", default="profanity")
    parser.add_argument("--candidates", action="store_true")
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    console = Console(highlight=False)
    if given.candidates:
        names = [given.scorer, *(make.__name__ for make in CANDIDATES), HEAD]
        rows = list(compare(names, given.texts, given.hatecheck))
        for line in table(rows):
            console.print(line, markup=False, soft_wrap=True)
    else:
        rows = [measure(given.scorer, given.texts, given.hatecheck)]
        for key, value in rows[0].items():
            console.print(f"{key:>40}  {value:,.3f}" if isinstance(value, float) else f"{key:>40}  {value}")
    if given.json:
        given.json.write_text(json.dumps(rows, indent=1))


if __name__ == "__main__":
    main()
