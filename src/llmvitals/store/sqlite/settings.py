"""The settings of the SQLite store."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Self

from pydantic import BaseModel, ConfigDict

from llmvitals.errors import ConfigError
from llmvitals.record.log import Topic

if TYPE_CHECKING:
    from llmvitals.settings import Settings


class SqliteSettings(BaseModel):
    """The path of the file, and the name of the vitals topic, by which the file notes its progress."""

    model_config = ConfigDict(frozen=True)

    path: Path
    topic: str

    @classmethod
    def of(cls, settings: Settings) -> Self:
        """Raises ConfigError when `sqlite` is not set."""
        if settings.sqlite is None:
            raise ConfigError("sqlite is not set: name the file that shall hold the metrics")
        return cls(path=settings.sqlite, topic=settings.topic(Topic.VITALS))
