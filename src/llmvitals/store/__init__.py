"""The stores: points of `llm.vitals.v1` → InfluxDB or SQLite, and back for `llmvitals query`.

`lines` and `newest` prepare what is written, `influx` and `sqlite` write it, `store` chooses between
them; `query` asks either (`flux`, `rows`), and `render` shows the answer.
"""
