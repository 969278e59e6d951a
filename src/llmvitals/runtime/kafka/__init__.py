"""Runs stages and sinks on Kafka, whatever they do.

`transport`, `thread` and `membership` make Faust hand out whole fetches and leave the offsets to the runners;
`feed` is the interface between them. `stage_runner` runs a `stage.Stage` per partition, each in a
`partition_task` (apply, send, await, `checkpoint`, commit); `sink_runner` runs sinks, each in a `sink_task`.
`connect`, `producer` and `tail` are the clients. `watchdog` ends a process that stands still; `crash` is for
tests.
"""
