"""Backtests: evaluates rules over past calls of a file or a topic, which are read as the worker reads them.

`run` runs one over the calls of a file or a topic, and `reader` assigns them to panes. `evaluator` passes
blocks of calls to a `view_evaluator` for rules of a view: its `columns` hold the sums of all series, a screen
excludes series that cannot fire, and the rules' own detectors read the others. Rules that read embeddings,
arms or scores go to the worker's own stages. `episodes` summarises and compares the alerts, and `show` prints
the result.
"""
