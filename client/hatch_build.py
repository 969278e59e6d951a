"""Takes the modules of llmvitals-client, which pyproject.toml names, from the sources of llmvitals."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class Modules(BuildHookInterface[Any]):
    """Adds the modules to the wheel as the package llmvitals, and to the sdist under src/."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Called by hatchling before each target is built."""
        home = Path(self.root)
        # An sdist has a copy of the sources in it; in a checkout they are beside this folder.
        beside = home if (home / "src").is_dir() else home.parent
        into = "src/llmvitals" if self.target_name == "sdist" else "llmvitals"
        for name in self.config["modules"]:
            source = beside / "src" / "llmvitals" / name
            build_data["force_include"][str(source)] = f"{into}/{name}"
