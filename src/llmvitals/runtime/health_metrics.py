"""The metrics of the workers: Prometheus name, help and labels of each."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

from prometheus_client import Counter, Gauge, Histogram

Kind = Literal["combine", "merge", "sink", "score"]

_PLACE: Final = ("topic", "partition")


@dataclass(frozen=True, slots=True)
class HealthMetric:
    """One metric: its kind, its name in Prometheus, its help text and its labels."""

    kind: type[Counter | Gauge | Histogram]
    name: str
    help: str
    labels: tuple[str, ...] = _PLACE


_EVERY: Final = {
    "rules_ok": HealthMetric(
        Gauge,
        "rules_ok",
        "1 where the rules in the folder hold, 0 where they are refused.",
        (),
    ),
    "lag": HealthMetric(Gauge, "lag", "Records on the topic that are not yet worked on."),
    "offset_gaps": HealthMetric(
        Counter, "offset_gaps", "Records that were skipped by a fetch, and read again."
    ),
    "events_lost_by_retention": HealthMetric(
        Counter, "events_lost_by_retention", "Records that Kafka deleted before they were read."
    ),
}
_STAGE: Final = {
    "checkpoint_seconds": HealthMetric(Histogram, "checkpoint_seconds", "How long a checkpoint took.", ()),
    "flush_seconds": HealthMetric(
        Histogram, "flush_seconds", "How long an early sending of open panes took.", ()
    ),
    "watermark_delay_seconds": HealthMetric(
        Gauge, "watermark_delay_seconds", "How far the watermark is behind the clock."
    ),
}
_STAGES: Final[dict[Kind, dict[str, HealthMetric]]] = {
    "combine": _STAGE
    | {
        "in": HealthMetric(
            Counter, "calls_in", "Calls read; in = applied + duplicate + dead_lettered + filtered, always."
        ),
        "applied": HealthMetric(Counter, "calls_applied", "Calls counted."),
        "duplicate": HealthMetric(
            Counter, "calls_duplicate", "Calls that came again, or were reported by a second instrumentor."
        ),
        "dead_lettered": HealthMetric(Counter, "calls_dead_lettered", "Calls that can't be read."),
        "filtered": HealthMetric(Counter, "calls_filtered", "Calls that nothing counts."),
        "late": HealthMetric(
            Counter, "calls_late", "Calls counted after their pane had closed, in an open one."
        ),
        "lost": HealthMetric(Counter, "calls_lost", "Offsets that Kafka deleted before they were read."),
        "forgotten": HealthMetric(
            Counter,
            "ids_forgotten",
            "Ids dropped within LLMVITALS_DEDUPE_HORIZON because there were more than LLMVITALS_DEDUPE_IDS.",
        ),
        "broken": HealthMetric(
            Counter,
            "producer_breaks",
            "Times that more than half of a partition's records could not be read for 30 s.",
        ),
        "dead_letters": HealthMetric(
            Counter,
            "dead_letters",
            "Dead letters by reason; errors.CURES says what to do.",
            (*_PLACE, "code"),
        ),
        "unread": HealthMetric(
            Counter,
            "spans_unread",
            "Spans that look like calls of a model and that nothing reads, by instrumentor.",
            (*_PLACE, "scope"),
        ),
        "unknown_models": HealthMetric(
            Counter,
            "unknown_models",
            "1 for each model without a price, 50 at most; nearest: the known one with the nearest name.",
            (*_PLACE, "model", "nearest"),
        ),
    },
    "merge": _STAGE
    | {
        "frames": HealthMetric(Counter, "frames", "Frames read."),
        "entries": HealthMetric(Counter, "entries", "Panes of series in the frames."),
        "stale": HealthMetric(Counter, "entries_stale", "Entries that were known already."),
        "late": HealthMetric(Counter, "entries_late", "Entries of panes that their source had sealed."),
        "moved": HealthMetric(
            Counter, "entries_moved", "Entries counted in a later pane, as late: their own had closed before."
        ),
        "unknown": HealthMetric(Counter, "entries_unknown", "Entries of views that do not exist."),
        "replayed": HealthMetric(Counter, "entries_replayed", "Entries that a checkpoint held already."),
        "panes": HealthMetric(Counter, "panes_closed", "Panes of series that closed."),
        "series_cut": HealthMetric(
            Counter,
            "series_cut",
            "Entries of names over max_series, counted in _other; llmvitals doctor names some.",
            (*_PLACE, "view"),
        ),
        "points": HealthMetric(Counter, "points", "Points sent to the stores."),
        "alerts": HealthMetric(Counter, "alerts", "Changes of alerts."),
        "orders": HealthMetric(Counter, "orders", "Commands to rules that were carried out."),
        "orders_refused": HealthMetric(Counter, "orders_refused", "Commands to rules that do not exist."),
    },
    "sink": {
        "notifications": HealthMetric(
            Counter, "notifications", "Alerts by what became of them.", ("result",)
        ),
        "slack_retries": HealthMetric(Counter, "slack_retries", "Requests that are tried again.", ("code",)),
        "slack_refusals": HealthMetric(Counter, "slack_refusals", "Messages that Slack refused.", ("code",)),
        "breach_to_slack_seconds": HealthMetric(
            Histogram, "breach_to_slack_seconds", "From a breach's event time to its message.", ()
        ),
        "store_errors": HealthMetric(
            Counter, "store_errors", "Writes that a store refused or did not answer.", ("code",)
        ),
        "points_set_aside": HealthMetric(
            Counter, "points_set_aside", "Points that no store takes.", ("code",)
        ),
    },
    "score": _STAGE
    | {
        "in": HealthMetric(Counter, "score_calls_in", "Calls read, with or without texts."),
        "scored": HealthMetric(Counter, "texts_scored", "Texts that were scored."),
        "unscored": HealthMetric(Counter, "texts_unscored", "Texts that no scorer could score."),
    },
}


def declared(stage: Kind) -> dict[str, HealthMetric]:
    """Return all metrics of a worker, by the names that the pipeline uses."""
    return _EVERY | _STAGES[stage]
