"""What rules would have said: calls of a file or a topic, read as the worker reads them, and judged.

`lines` and `topic` give the calls, a `reader` for each partition puts them into panes. `trial` hands blocks of
them to a `post` for each rule: what its series held is a `bag`; a `screen` tells which of them can't have
anything to say, and what is left goes through the rules' own detectors, one alert after the other. `episodes`
and `difference` are what comes of the alerts, `run` is the order of it all, `show` prints it.
"""
