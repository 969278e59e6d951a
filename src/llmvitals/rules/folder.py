"""Whether a folder of rules is still what it was."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from llmvitals.errors import ConfigError
from llmvitals.rules.files import rule_files

if TYPE_CHECKING:
    from pathlib import Path

Look = dict[str, tuple[int, ...]]


class Folder:
    """A folder of rules, looked at again and again; what it holds now is what is known."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._seen, self._content = self._look(), self._digest()

    @property
    def there(self) -> bool:
        """Whether there is such a folder, for all that one may see."""
        try:
            return self._folder.is_dir()
        except OSError:
            return False

    def changed(self) -> bool:
        """Whether the rules' files hold something else than at the last call.

        Contents are read only where names, sizes or times are others. Of a file that is just being written
        it may tell the half, and the next time the whole.
        """
        seen = self._look()
        if seen == self._seen:
            return False
        self._seen, before, self._content = seen, self._content, self._digest()
        return self._content != before

    def _files(self) -> list[Path]:
        try:
            return rule_files(self._folder)
        except ConfigError:
            return []  # so it has changed, and whoever reads the rules then says why

    def _look(self) -> Look:
        found: Look = {}
        for path in self._files():
            try:
                about = path.stat()
            except OSError:
                found[path.name] = ()
            else:
                found[path.name] = about.st_size, about.st_mtime_ns, about.st_ino
        return found

    def _digest(self) -> bytes:
        whole = hashlib.sha256()
        for path in self._files():
            try:
                data = hashlib.sha256(path.read_bytes()).digest()
            except OSError as error:
                data = str(error.errno).encode()
            whole.update(path.name.encode("utf-8", "surrogateescape") + b"\0" + data)
        return whole.digest()
