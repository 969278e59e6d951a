"""The series of a view by the codes of profiles (values of all dimensions), so that numpy finds them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from llmvitals.record.view import View

Series = tuple[str, ...]

EXCLUDED: Final = -1
"""In place of a code where a view excludes a profile."""


class SeriesCodes:
    """codes: for each profile the code of its series, EXCLUDED where the view excludes it. names: by code."""

    def __init__(self, view: View) -> None:
        self.names: list[Series] = []
        self.codes: NDArray[np.int64] = np.empty(0, np.int64)
        self._view = view
        self._codes: dict[Series, int] = {}

    def read(self, profiles: Sequence[Series], dimensions: Sequence[str]) -> None:
        """Give codes to the series of new profiles. profiles: all so far; dimensions: what they are of."""
        new = profiles[len(self.codes) :]
        codes = [self._code(dict(zip(dimensions, profile, strict=True))) for profile in new]
        self.codes = np.concatenate((self.codes, np.array(codes, np.int64)))

    def _code(self, values: dict[str, str]) -> int:
        if not accepts(self._view, values):
            return EXCLUDED
        series = series_in(self._view, values)
        code = self._codes.setdefault(series, len(self.names))
        if code == len(self.names):
            self.names.append(series)
        return code


def accepts(view: View, values: dict[str, str]) -> bool:
    """Whether a view has the calls with these values of the dimensions."""
    return all(condition.accepts(values[name]) for name, condition in view.where)


def series_in(view: View, values: dict[str, str]) -> Series:
    """The series of calls with these values of the dimensions."""
    return tuple([values[name] for name in view.by])
