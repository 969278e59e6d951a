"""Detects changes of the rule files in a folder."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from llmvitals.errors import ConfigError
from llmvitals.rules.files import rule_files

if TYPE_CHECKING:
    from pathlib import Path

Stamps = dict[str, tuple[int, ...]]


class Folder:
    """A folder of rules that is polled for changes; its present content is the starting point."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._known, self._content = self._stamps(), self._digest()

    @property
    def there(self) -> bool:
        """Whether the folder (or the single file) exists and is visible."""
        try:
            return self._folder.exists()
        except OSError:
            return False

    def changed(self) -> bool:
        """Whether the content of the rule files has changed since the last call.

        Files are read only if names, sizes or times differ. A file that is being written may count as changed
        twice: half written, and complete.
        """
        stamps = self._stamps()
        if stamps == self._known:
            return False
        self._known, before, self._content = stamps, self._content, self._digest()
        return self._content != before

    def _files(self) -> list[Path]:
        try:
            return rule_files(self._folder)
        except ConfigError:
            return []  # counts as a change; reading the rules then reports the reason

    def _stamps(self) -> Stamps:
        stamps: Stamps = {}
        for path in self._files():
            try:
                status = path.stat()
            except OSError:
                stamps[path.name] = ()
            else:
                stamps[path.name] = status.st_size, status.st_mtime_ns, status.st_ino
        return stamps

    def _digest(self) -> bytes:
        whole = hashlib.sha256()
        for path in self._files():
            try:
                data = hashlib.sha256(path.read_bytes()).digest()
            except OSError as error:
                data = str(error.errno).encode()
            whole.update(path.name.encode("utf-8", "surrogateescape") + b"\0" + data)
        return whole.digest()
