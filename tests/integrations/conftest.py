"""The programs run in environments of their own, and pytest does not import them."""

from __future__ import annotations

collect_ignore = ["programs"]
