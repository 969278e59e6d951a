"""How stages live on Kafka, whatever they do.

`transport` and `membership` make Faust hand out whole fetches and leave the offsets to us; `feed` is what a
work may ask of them. `drive` runs a `stage.Stage` per partition, each in its `lane` (apply, send, await,
`checkpoint`, commit); `pour` runs sinks. `connect`, `outbox` and `tail` are the clients, `watchdog` ends what
stands still, `crash` is for tests.
"""
