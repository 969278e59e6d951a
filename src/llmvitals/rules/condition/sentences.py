"""Words that the summaries of several kinds share."""

from __future__ import annotations


def named(metric: str) -> str:
    """A metric's name as text within a template: braces are escaped, for a score's name may hold any."""
    return metric.replace("_", " ").replace("{", "{{").replace("}", "}}")
