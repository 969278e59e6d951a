"""Tests of rules in YAML: calls in, alerts out, through the same stages as the worker (see promtool)."""

from llmvitals.ruletest.load import load_tests
from llmvitals.ruletest.run import Runner

__all__ = ["Runner", "load_tests"]
