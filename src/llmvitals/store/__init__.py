"""The stores: they write the points of `llm.vitals.v1`, and commands read them.

`protocol` is what every store can do, `influx` and `sqlite` are stores, `registry` lists them. `points`
prepares points for writing; `question` says what is asked, and `query` reads a metric or past alerts.
"""
