"""llmvitals reads LLM calls from Kafka and alerts when their cost, speed, safety or meaning goes wrong.

`Publisher` sends calls from an application, `CallFields` is the type of a call, and `llmvitals.integrations`
publishes the calls of libraries; `llmvitals.testing` has a fake Slack for tests. The distribution
llmvitals-client has only what an application needs. ARCHITECTURE.md describes the packages.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from llmvitals.publisher import Publisher
    from llmvitals.record.call_fields import CallFields

    __version__: str

__all__ = ["CallFields", "Publisher", "__version__"]


def __getattr__(name: str) -> object:
    # Importing llmvitals must cost an application nothing, so each is loaded when it is first used.
    if name == "Publisher":
        from llmvitals.publisher import Publisher  # noqa: PLC0415 - the reason is above

        return Publisher
    if name == "CallFields":
        from llmvitals.record.call_fields import CallFields  # noqa: PLC0415 - the reason is above

        return CallFields
    if name == "__version__":
        from importlib.metadata import PackageNotFoundError, version  # noqa: PLC0415 - the reason is above

        try:
            return version("llmvitals")
        except PackageNotFoundError:
            return version("llmvitals-client")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
