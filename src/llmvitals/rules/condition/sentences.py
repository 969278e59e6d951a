"""Text shared by the summaries of several kinds."""

from __future__ import annotations


def named(metric: str) -> str:
    """A metric's name as text in a template. Braces are escaped, because a score's name may contain them."""
    return metric.replace("_", " ").replace("{", "{{").replace("}", "}}")
