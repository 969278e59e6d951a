"""The series of a view by the codes of profiles (values of all dimensions), so that numpy finds them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from llmvitals.record.series import series_key, shard_of
from llmvitals.record.view import OTHER, View

Ints = NDArray[np.int64]
Series = tuple[str, ...]

EXCLUDED: Final = -1
"""In place of a code where a view excludes a profile."""


class SeriesCodes:
    """The series of a view; the key and the shard of each are made once.

    codes: for each profile the code of its series, EXCLUDED where the view excludes it. names: by code.
    dimensions: what profiles are of. shards: partitions of the partials topic.
    """

    def __init__(self, view: View, dimensions: Sequence[str], shards: int) -> None:
        self.view = view
        self.names: list[Series] = []
        self.codes: Ints = np.empty(0, np.int64)
        self._by = [dimensions.index(name) for name in view.by]
        self._where = [(dimensions.index(name), condition) for name, condition in view.where]
        self._codes: dict[Series, int] = {}
        self._keys: list[bytes] = []
        self._shards, self._shard_count = np.empty(0, np.int64), shards

    def read(self, profiles: Sequence[Series]) -> None:
        """Give codes to the series of new profiles. profiles: all so far."""
        if len(self.codes) < len(profiles):
            new = [self._code_of(profile) for profile in profiles[len(self.codes) :]]
            self.codes = np.concatenate((self.codes, np.array(new, np.int64)))

    def other(self) -> int:
        """The code of the series of the calls beyond a limit."""
        return self._code((OTHER,) * len(self._by))

    def keys(self, codes: Ints) -> list[bytes]:
        """The key of each series."""
        view = self.view.name
        self._keys += [series_key(view, series) for series in self.names[len(self._keys) :]]
        keys = self._keys
        return [keys[code] for code in codes.tolist()]

    def shards(self, codes: Ints) -> Ints:
        """The shard of each series. All arms of a home have the same one."""
        if len(self._shards) < len(self.names):
            homes = (self.view.home(series) for series in self.names[len(self._shards) :])
            new = [shard_of(self.view.name, home, self._shard_count) for home in homes]
            self._shards = np.concatenate((self._shards, np.array(new, np.int64)))
        return self._shards[codes]

    def _code_of(self, profile: Series) -> int:
        if not all(condition.accepts(profile[place]) for place, condition in self._where):
            return EXCLUDED
        return self._code(tuple([profile[place] for place in self._by]))

    def _code(self, series: Series) -> int:
        code = self._codes.setdefault(series, len(self.names))
        if code == len(self.names):
            self.names.append(series)
        return code
