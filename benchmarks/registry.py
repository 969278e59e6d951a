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


def wanted(only: list[str]) -> list[Measurement]:
    """The measurements that have one of these names; all of them where none is given.

    Raises ValueError that names what does not exist.
    """
    if strange := sorted(set(only) - set(names())):
        raise ValueError(f"there is no figure {', '.join(strange)}; there are {', '.join(names())}")
    return [
        measurement
        for measurement in MEASUREMENTS
        if not only or any({figure.name, figure.former} & set(only) for figure in measurement.figures)
    ]
