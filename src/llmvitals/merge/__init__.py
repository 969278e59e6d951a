"""Stage 2, frames → points and alerts: owns the series of a shard, closes their panes and rolls them up."""

from llmvitals.merge.plan import Limits, MergePlan, NoRules, Rules
from llmvitals.merge.stage import Merge

__all__ = ["Limits", "Merge", "MergePlan", "NoRules", "Rules"]
