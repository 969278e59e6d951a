"""What rules would have said: calls of a file or a topic, replayed through the stages of the worker.

`trial` runs the stages, `lines` and `topic` read the calls, `episodes` and `difference` are what comes of
the alerts, `show` prints it.
"""
