"""Environment variables: which are settings, and which only look like settings."""

from __future__ import annotations

import difflib
import os
import re
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable

PREFIX: Final = "LLMVITALS_"
"""The beginning of the variables' names; `LLMVITALS_CONFIG` names another file than llmvitals.toml."""

NO_SETTINGS: Final = (
    "config", "crash_at", "supervisor", "gateway_silence", "gateway_patience", "gateway_publish",
)  # fmt: skip
"""Variables that are no settings: the file of settings, where to crash in a test, the supervisor's id, and
those of examples/litellm_hook.py."""

_ADDRESS: Final = r"(?i:tcp|udp|sctp)://\S+"
_KUBERNETES: Final = (
    (r"SERVICE_HOST", r"\S+"),
    (r"SERVICE_PORT(_\w+)?", r"\d+"),
    (r"PORT(_\d+_(TCP|UDP|SCTP))?", _ADDRESS),
    (r"PORT_\d+_(TCP|UDP|SCTP)_PROTO", r"(?i:tcp|udp|sctp)"),
    (r"PORT_\d+_(TCP|UDP|SCTP)_PORT", r"\d+"),
    (r"PORT_\d+_(TCP|UDP|SCTP)_ADDR", r"\S+"),
)
"""Ends of names and patterns of values that Kubernetes sets in every pod for a Service named llmvitals or
llmvitals-…"""


def config_file() -> str:
    """The file of settings: the one that LLMVITALS_CONFIG names, else llmvitals.toml."""
    return os.environ.get(f"{PREFIX}CONFIG", "llmvitals.toml")


def settings(names: Iterable[str]) -> dict[str, str]:
    """Name → value of the settings that the environment sets; empty ones are left out.

    `LLMVITALS_HEALTH_PORT=tcp://10.0.0.1:9464` is no setting: Kubernetes sets it for a Service named
    llmvitals-health.
    """
    wanted = {f"{PREFIX}{name}".upper(): name for name in names}
    return {
        wanted[name.upper()]: value
        for name, value in os.environ.items()
        if name.upper() in wanted and value and not from_kubernetes(name, value)
    }


def unknown(names: Iterable[str]) -> list[str]:
    """A sentence for each variable that begins with PREFIX and is no setting. names: of all settings."""
    names = list(names)
    known = {f"{PREFIX}{name}".upper() for name in (*names, *NO_SETTINGS)}
    return [
        f"{name} is no setting and is ignored{near(name, names)}"
        for name, value in sorted(os.environ.items())
        if name.startswith(PREFIX) and name not in known and not from_kubernetes(name, value)
    ]


def near(variable: str, names: Iterable[str]) -> str:
    """The end of a sentence about a variable that is no setting: the one that was probably meant.

    >>> near("LLMVITALS_PAIN", ["pane", "idle"])
    ': did you mean LLMVITALS_PANE?'
    """
    close = difflib.get_close_matches(variable.removeprefix(PREFIX).lower(), [*names, "config"], n=1)
    return f": did you mean {PREFIX}{close[0].upper()}?" if close else ""


def from_kubernetes(name: str, value: str) -> bool:
    """Whether Kubernetes has set this variable for a Service.

    >>> from_kubernetes("LLMVITALS_PORT_9092_TCP", "tcp://10.0.0.1:9092")
    True
    >>> from_kubernetes("LLMVITALS_HEALTH_PORT", "9464")
    False
    """
    return any(
        re.fullmatch(rf"{PREFIX}(\w+_)?{end}", name) and re.fullmatch(shape, value)
        for end, shape in _KUBERNETES
    )
