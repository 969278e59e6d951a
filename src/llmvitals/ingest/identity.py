"""Reads who made a call from the attributes of spans and log records, by a mapping that users can extend."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any, Final

from llmvitals.ingest.span import Span
from llmvitals.ingest.values import Attributes, structure, unquoted
from llmvitals.lenient import mapping, text

DEFAULT_ATTRIBUTES: Final[Mapping[str, tuple[str, ...]]] = {
    "app": ("service.name",),
    "environment": (
        "deployment.environment.name", "deployment.environment", "langfuse.environment", "environment", "env",
    ),
    "team": (
        "team", "team.name", "team.id", "app.team", "service.team", "team_id", "user_api_key_team_alias",
        "team_alias", "litellm.team.alias", "litellm.team.id",
    ),
    "tenant": (
        "tenant", "tenant.id", "tenant_id", "app.tenant", "customer", "customer.id", "organization.id",
    ),
    "user": (
        "user.id", "enduser.id", "gen_ai.user", "llm.user", "user_id", "user_api_key_end_user_id",
        "user.email", "user.account_uuid", "langfuse.user.id", "langfuse_user_id",
        "userId", "litellm.end_user.id", "user_api_key_user_id",
    ),
    "session": (
        "gen_ai.conversation.id", "session.id", "session_id", "conversation.id", "thread_id",
        "langfuse.session.id", "langfuse_session_id", "sessionId", "gcp.vertex.agent.session_id",
    ),
    "key": ("api_key.alias", "gen_ai.api_key.alias", "user_api_key_alias", "user_api_key_hash",
            "litellm.api_key.hash"),
    "agent": ("gen_ai.agent.name", "agent.name"),
    "prompt_name": (
        "gen_ai.prompt.name", "langfuse.observation.prompt.name", "promptlayer.prompt.name",
        "llm.prompt_template.name",
    ),
    "prompt_version": (
        "gen_ai.prompt.version", "langfuse.observation.prompt.version", "promptlayer.prompt.version",
        "llm.prompt_template.version",
    ),
}  # fmt: skip
"""The attributes of the resource are looked at first, then those of the span."""

_PREFIXES: Final = (
    "langfuse.trace.metadata.", "langfuse.observation.metadata.", "langsmith.metadata.",
    "traceloop.association.properties.", "mlflow.traceTag.", "promptlayer.metadata.", "metadata.",
    "ai.telemetry.metadata.", "litellm.metadata.",
)  # fmt: skip
"""Where systems put what their users call team, tenant, user and session."""
_METADATA: Final = ("metadata", "langfuse.trace.metadata", "langfuse.observation.metadata",
                    "metadata.requester_metadata")  # fmt: skip
_HEADERS: Final = {
    "Helicone-User-Id": "user", "Helicone-Session-Id": "session", "Helicone-Prompt-Id": "prompt_name",
}  # fmt: skip
_PROPERTY: Final = "Helicone-Property-"
_ABSENT: Final = frozenset((
    "unknown", "default_user_id", "None", "null", "",
    "RunnableSequence", "RunnableWithFallbacks", "LangGraph",
))  # fmt: skip
"""What systems write for no value. The last ones are classes of LangChain, in place of an agent's name."""


class Identity:
    """Reads dimensions by a mapping: the user's names come before the defaults.

    attributes: dimension or `tags.NAME`, and names of attributes.
    """

    def __init__(self, attributes: Attributes) -> None:
        own = dict(attributes)
        wanted = own | {name: (*own.get(name, ()), *names) for name, names in DEFAULT_ATTRIBUTES.items()}
        # Those of the user first: an attribute that they map is no default of another dimension.
        claims = [
            (name, dimension, rank)
            for names_of in (own, wanted)
            for dimension, names in names_of.items()
            for rank, name in enumerate(names)
        ]
        self._ranks: dict[str, tuple[str, int]] = {}
        for prefix in ("", *_PREFIXES):
            for name, dimension, rank in claims:
                further = len(wanted[dimension]) if prefix else 0
                self._ranks.setdefault(prefix + name, (dimension, rank + further))

    @classmethod
    @lru_cache(maxsize=16)
    def of_mapping(cls, attributes: Attributes) -> Identity:
        """The reader for a mapping; the same one for the same mapping."""
        return cls(attributes)

    def of(self, span: Span, of_resource: Mapping[str, Any]) -> dict[str, Any]:
        """The dimensions of a span; those of its resource go before. Values that mean none are left out."""
        found = {**of_resource}
        for name, value in self.read(span.attributes, span.plain).items():
            found.setdefault(name, value)
        for name in _METADATA:
            if name in span.attributes:
                inner = mapping(structure(span.plain(span.attributes[name])))
                for dimension, value in self.read(inner, _as_it_is).items():
                    found.setdefault(dimension, value)
        if "llm.headers" in span.attributes:
            self._add_headers(found, mapping(structure(span.plain(span.attributes["llm.headers"]))))
        return _with_tags(found)

    def read(self, attributes: Mapping[str, Any], plain: Callable[[Any], Any]) -> dict[str, Any]:
        """The dimensions that these attributes hold. plain: converts a value to a Python value."""
        best: dict[str, tuple[int, str]] = {}
        for name in attributes.keys() & self._ranks.keys():
            dimension, rank = self._ranks[name]
            value = text(unquoted(plain(attributes[name])), 256 if dimension.startswith("prompt_") else 128)
            if value is not None and value not in _ABSENT and rank < best.get(dimension, (1_000, ""))[0]:
                best[dimension] = (rank, value)
        return {dimension: value for dimension, (_, value) in best.items()}

    def _add_headers(self, found: dict[str, Any], headers: Mapping[str, Any]) -> None:
        for header, value in headers.items():
            dimension = _HEADERS.get(header)
            if dimension is None and str(header).startswith(_PROPERTY):
                dimension, _ = self._ranks.get(header[len(_PROPERTY) :].lower(), ("", 0))
            if dimension and (name := text(value)):
                found.setdefault(dimension, name)


def _as_it_is(value: Any) -> Any:
    return value


def _with_tags(found: dict[str, Any]) -> dict[str, Any]:
    tags = {name[5:]: found.pop(name) for name in [*found] if name.startswith("tags.")}
    return found | ({"tags": tags} if tags else {})
