"""What the alerts of a budget's series say to gateways: pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from llmvitals.record.act import Silence
    from llmvitals.record.alert import Alert
    from llmvitals.record.verdict import Verdict


def judged(alerts: Sequence[Alert], override: Silence | None, now: int) -> Verdict | None:
    """The verdict on one series of one rule, None where it has none.

    alerts: the newest change of each alert of this rule and series that is known, over or not, the oldest
    first; never empty. override: what lifts a block now. now: µs. The desk asks when one of the alerts has
    changed, and when an override begins or ends; it sends a verdict that is not the one it has sent last.
    """
    del alerts, override, now
    return None
