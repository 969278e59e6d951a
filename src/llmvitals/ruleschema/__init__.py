"""The JSON Schema (2020-12) of a rule file, for editors; `llmvitals schema rules` prints it."""

from llmvitals.ruleschema.file import rule_schema

__all__ = ["rule_schema"]
