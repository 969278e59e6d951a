"""Stage 1: calls → frames. Where the events are, they are read, placed into panes, priced and added up.

The order of things: `reader` (bytes → calls, or dead letters), `clock` (which pane), `columns` (calls →
vectors), `shelf` → `pane` → `table` (vectors → sums, sketches, contributors, worst calls), `frames`;
`stage` wires them.
"""

from llmvitals.combine.plan import CombinePlan
from llmvitals.combine.stage import Combine

__all__ = ["Combine", "CombinePlan"]
