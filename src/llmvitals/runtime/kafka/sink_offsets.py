"""What is committed with a sink's offset: the id of the topic that it is an offset of."""

from __future__ import annotations

from typing import Final

from llmvitals.errors import SourceRecreated

_TOPIC: Final = "topic:"
AGAIN: Final = (
    "was deleted and created again: what was not done of the old topic is lost, the new one is read from its "
    "beginning"
)


def metadata(topic_id: str) -> str:
    """What is committed with a sink's offset: of which topic it is."""
    return f"{_TOPIC}{topic_id}" if topic_id else ""


def another(metadata: str, topic_id: str) -> bool:
    """Whether an offset was committed of another topic; older commits don't say, other tools neither."""
    had = metadata.removeprefix(_TOPIC) if metadata.startswith(_TOPIC) else ""
    return bool(had and topic_id) and had != topic_id


def replaced(topic: str, *, had: str, now: str) -> SourceRecreated:
    """The error for a sink's topic that got another id while it was read; another start reads the new one."""
    return SourceRecreated(
        f"{topic} was deleted and created again while it was read (topic id {now}, before {had}): what "
        "was not done of the old topic is lost. Start the worker again: it reads the new one from its "
        "beginning"
    )
