"""The values of the setting `scorers`."""

from __future__ import annotations

import json
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field

from llmvitals.window import duration

Duration = Annotated[str, AfterValidator(lambda text: (duration(text), text)[1])]
"""A length of time such as `10s`; `window.duration` reads it."""


class ScorerSetting(BaseModel):
    """A scorer of texts and how it is called; docs/toxicity.md.

    scorer: the name of an entry point, or `package.module:Class`. of: which text; by default the output, for
    scorers that give embeddings the input. sample: the share of calls. batch: texts in one request, which may
    take `timeout`. longest: characters; longer texts are cut.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    scorer: str = Field(min_length=1)
    of: Literal["input", "output"] | None = None
    sample: float = Field(1.0, ge=0, le=1)
    batch: int = Field(256, ge=1, le=4_096)
    timeout: Duration = "10s"
    longest: int = Field(8_000, ge=1)


def _listed(given: object) -> object:
    """Parse JSON, or names separated by commas; a name alone means the defaults."""
    if isinstance(given, str):
        listed = given.lstrip().startswith(("[", "{"))
        given = json.loads(given) if listed else [name.strip() for name in given.split(",") if name.strip()]
    if not isinstance(given, (list, tuple)):
        return given
    return [{"scorer": item} if isinstance(item, str) else item for item in given]


Scorers = Annotated[tuple[ScorerSetting, ...], BeforeValidator(_listed)]
