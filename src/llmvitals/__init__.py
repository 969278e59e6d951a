"""llmvitals listens to LLM calls on Kafka and speaks up when money, speed, safety or meaning goes wrong.

`Publisher` sends calls from an application; `llmvitals.testing` has a fake Slack for tests. ARCHITECTURE.md
describes the packages.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from llmvitals.publisher import Publisher

    __version__: str

__all__ = ["Publisher", "__version__"]


def __getattr__(name: str) -> object:
    # Importing llmvitals must cost an application nothing, so both are loaded when they are first used.
    if name == "Publisher":
        from llmvitals.publisher import Publisher  # noqa: PLC0415 - the reason is above

        return Publisher
    if name == "__version__":
        from importlib.metadata import version  # noqa: PLC0415 - the reason is above

        return version("llmvitals")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
