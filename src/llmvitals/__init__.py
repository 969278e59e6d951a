"""llmvitals hears LLM calls on Kafka and speaks up when money, speed, safety or meaning goes wrong.

The way of the data, and where it is written::

    llm.calls.v1 ──combine──► llm.partials.v1 ──merge·detect·alert──► llm.vitals.v1 ──write──► InfluxDB
                  ingest/, price/              merge/, detect/,           │            write/
                  combine/                     alert/                     └► llm.alerts.v1 ──notify──► Slack
                                                                                             notify/
    Where scorers are set, score/ has texts in calls scored and puts evaluations on llm.scores.v1, which
    combine reads beside the calls.

    record/ is what lies on the topics, sketch/ what is added up, pipeline.py the order of the stages,
    stage.py what they have in common; app.py and kafka/ put them on Kafka.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from llmvitals.publisher import Publisher

__all__ = ["Publisher"]


def __getattr__(name: str) -> object:
    # An application that only imports llmvitals shall not pay for it.
    if name == "Publisher":
        from llmvitals.publisher import Publisher  # noqa: PLC0415 - the reason is above

        return Publisher
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
