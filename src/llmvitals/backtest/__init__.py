"""What rules would have said: calls of a file or a topic, read as the worker reads them, and judged.

`lines` and `topic` give the calls, a `reader` for each partition puts them into panes. `trial` hands blocks
of them to a `post` for some rules of a view: what its series held is a `bag`; a `screen` tells of which of
them nothing can be said; the others go through the rules' own detectors. `episodes` and `difference` are what
comes of the alerts, `run` is the order of it all, `show` prints it.
"""
