"""Reads a provider's answer out of the output of a span, for what the span itself does not tell."""

from __future__ import annotations

from llmvitals.ingest.span import Span
from llmvitals.ingest.values import first, identity
from llmvitals.lenient import listed, mapping
from llmvitals.usage import Usage, first_known, usage_of


class Answer:
    """The provider's answer in the output of a span: as it is, or in a generation of LangChain."""

    def __init__(self, span: Span) -> None:
        self._output = mapping(span.structure("output.value"))
        generation = first(next(iter(listed(self._output.get("generations"))), None))
        self._message = mapping(mapping(generation.get("message")).get("kwargs"))
        self._metadata = mapping(self._message.get("response_metadata"))

    @property
    def response_id(self) -> str | None:
        """The provider's id of the answer."""
        output = self._output
        return (
            identity(output.get("id"))
            or identity(self._metadata.get("id"))
            or identity(output.get("response_id"))
        )

    def detailed(self, usage: Usage) -> Usage:
        """The usage as the answer tells it, if it is of the same call: instrumentors leave parts of it out.

        Early versions leave the cached tokens out, and those of Anthropic out of the input as well.
        """
        told = usage_of(
            self._output.get("usage") or self._message.get("usage_metadata") or self._metadata.get("usage")
        )
        if not usage:
            return told
        same = told and told["output_tokens"] == usage.get("output_tokens")
        if not same or (told["input_tokens"] or 0) < (usage.get("input_tokens") or 0):
            return usage
        whole = {"input_tokens": told["input_tokens"]}
        return {name: first_known(usage.get(name), tokens) for name, tokens in told.items()} | whole
