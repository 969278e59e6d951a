"""JSON Schemas (2020-12) of the files of rules and of their tests, for editors: `llmvitals schema`."""

from llmvitals.ruleschema.cases import case_schema
from llmvitals.ruleschema.file import rule_schema

__all__ = ["case_schema", "rule_schema"]
