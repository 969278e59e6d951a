"""Measures llmvitals on a real broker, beside its peers, in one run.

    python -m benchmarks [--only NAME …] [--calls N] [--json FILE]

All readers of calls read the same kind of topic: native calls of some 20 fields on four partitions. Rates of
workers are their own counters' (benchmarks/watched.py), so that measuring slows nothing. Progress goes to
stderr, the table to stdout. Everything that is started is ended, even when this process is killed.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from pathlib import Path
from typing import Final

from benchmarks.bench import Bench, MeasureFailed, Result
from benchmarks.registry import MEASUREMENTS, asked_for, names
from benchmarks.table import HEAD, cells, rows
from rich.console import Console
from rich.table import Table

from llmvitals.errors import Unavailable
from llmvitals.local.kafka import LocalKafka
from llmvitals.runtime import logs

CALLS: Final = 600_000


def measure(only: frozenset[str], calls: int, results: dict[str, Result]) -> None:
    """Measure these figures (none: all of them); one that fails has a note, and the others go on.

    results: figure → what was found, as soon as it is. Raises Unavailable where Kafka can't run here.
    """
    began = time.monotonic()

    def say(text: str) -> None:
        print(f"{time.monotonic() - began:6.0f} s  {text}", file=sys.stderr, flush=True)

    with LocalKafka(progress=say) as kafka, tempfile.TemporaryDirectory(prefix="llmvitals-bench-") as folder:
        bench = Bench(kafka, Path(folder), calls, say, only, results)
        for measurement in MEASUREMENTS:
            try:
                for result in measurement.measure(bench):
                    results[result.name] = result
            except MeasureFailed as failure:
                say(f"{measurement.title}: {failure}")
                for figure in filter(lambda figure: bench.wants(figure.name), measurement.figures):
                    results.setdefault(figure.name, Result(figure.name, None, note=str(failure)))
        say("done")


def show(results: dict[str, Result]) -> None:
    """Print the table."""
    table = Table(box=None)
    for name in HEAD:
        table.add_column(name, justify="left" if name in ("name", "what") else "right")
    for row in cells(rows(results)):
        table.add_row(*row)
    Console(width=None if sys.stdout.isatty() else 140, markup=False).print(table)


def main() -> None:
    """Measure, print, and write the JSON where asked."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--only", nargs="+", default=[], metavar="NAME", help=f"only these figures: {', '.join(names())}"
    )
    parser.add_argument(
        "--calls", type=int, default=CALLS, help="that a rate is taken from (default: %(default)s)"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures to this file, too")
    given = parser.parse_args()
    try:
        only = asked_for(given.only)
    except ValueError as error:
        parser.error(str(error))
    logs.hush()
    results: dict[str, Result] = {}
    try:
        measure(only, given.calls, results)
    except Unavailable as error:
        sys.exit(str(error))
    except KeyboardInterrupt:
        sys.exit("interrupted: the figures so far are kept")
    finally:
        show(results)
        if given.json:
            given.json.write_text(json.dumps(rows(results), indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
