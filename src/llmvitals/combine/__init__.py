"""Stage 1, calls → frames: reads the events of a source partition, prices them and adds them up by pane.

The order: `reader` (bytes → calls or dead letters), `clock` (the pane of a call), `columns` and `interner`
(calls → integers), `open_panes` → `pane` → `table` (sums, sketches, contributors, worst calls), `frames`.
`stage` wires them.
"""

from llmvitals.combine.interner import Interners
from llmvitals.combine.plan import CombinePlan
from llmvitals.combine.stage import Combine

__all__ = ["Combine", "CombinePlan", "Interners"]
