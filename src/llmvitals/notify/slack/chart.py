"""How a value went, against its limit, as a chart that Slack draws: the block `data_visualization`.

Its reference: https://docs.slack.dev/reference/block-kit/blocks/data-visualization-block
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from llmvitals.notify.figure import finite, named
from llmvitals.notify.slack.limits import CHART
from llmvitals.notify.title import one_series
from llmvitals.wording import clean

if TYPE_CHECKING:
    from collections.abc import Sequence

    from llmvitals.record.alert import Alert
    from llmvitals.record.notification import MessageState

    Block = dict[str, Any]

TYPE: Final = "data_visualization"
_SCALES: Final = {"share": (100.0, "%"), "usd": (1.0, "dollars"), "tokens_per_s": (1.0, "tokens a second")}


def chart(state: MessageState) -> list[Block]:
    """Return the block for a message about one series that fires, if its trend is known; else nothing."""
    alert = state.chief
    values = finite(alert.trend)[-CHART["points"] :]
    single = state.total == 1 or (not state.digest and one_series(state))
    # The trend of a budget would be of what was spent in each step, which is not compared with the limit.
    if not single or alert.status == "resolved" or alert.bound == "budget" or len(values) < 2:
        return []
    scale, unit = _scale(alert, values)
    labels = [*(str(step) for step in range(1 - len(values), 0)), "now"]
    lines = {clean(named(alert), CHART["name"]): values}
    if finite([alert.limit * scale]):
        lines |= {"usual" if alert.bound == "usual" else "limit": [alert.limit] * len(values)}
    series = [
        {
            "name": name or "value",
            "data": [
                {"label": label, "value": round(value * scale, 6)}
                for label, value in zip(labels, line, strict=True)
            ],
        }
        for name, line in lines.items()
    ]
    axes: Block = {"categories": labels, "y_label": unit}
    if alert.window:
        axes["x_label"] = clean(f"steps of the last {alert.window}", CHART["label"])
    title = clean(named(alert), CHART["title"]) or "value"
    return [{"type": TYPE, "title": title, "chart": {"type": "line", "series": series, "axis_config": axes}}]


def _scale(alert: Alert, values: Sequence[float]) -> tuple[float, str]:
    """What to multiply by, and the unit then."""
    if alert.unit == "ms":
        return (0.001, "seconds") if max(values) >= 1_000 else (1.0, "ms")
    return _SCALES.get(alert.unit, (1.0, clean(named(alert), CHART["label"]) or "value"))
