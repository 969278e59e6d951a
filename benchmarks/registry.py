"""All figures, in the order of the table."""

from __future__ import annotations

from typing import Final

from benchmarks.bench import Figure, Measurement

from benchmarks import breach, end_to_end, merge, peers, restart, storing, worker_rates

MEASUREMENTS: Final[tuple[Measurement, ...]] = (
    peers.MEASUREMENT,
    *worker_rates.MEASUREMENTS,
    merge.MEASUREMENT,
    storing.MEASUREMENT,
    end_to_end.MEASUREMENT,
    breach.MEASUREMENT,
    restart.MEASUREMENT,
)
FIGURES: Final[dict[str, Figure]] = {
    figure.name: figure for measurement in MEASUREMENTS for figure in measurement.figures
}


def names() -> list[str]:
    """Every name that --only takes: of figures, and older ones."""
    return [name for figure in FIGURES.values() for name in (figure.name, figure.former) if name]


def asked_for(only: list[str]) -> frozenset[str]:
    """The figures of these names; none: all are asked for. Raises ValueError for a name that is none."""
    if strange := sorted(set(only) - set(names())):
        raise ValueError(f"there is no figure {', '.join(strange)}; there are {', '.join(names())}")
    return frozenset(figure.name for figure in FIGURES.values() if {figure.name, figure.former} & set(only))
