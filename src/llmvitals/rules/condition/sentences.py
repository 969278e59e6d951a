"""Words that the sentences of several kinds of rules share."""

from __future__ import annotations


def named(metric: str) -> str:
    """A metric's name as a sentence has it, within a template: the name of a score may hold anything."""
    return metric.replace("_", " ").replace("{", "{{").replace("}", "}}")
