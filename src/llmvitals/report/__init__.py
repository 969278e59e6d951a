"""What alerts and statistics have done, read from the store.

`run` reads past alerts and makes the report of `summary` and `advice`; `drift` and `canary` read
statistics. Tables for the terminal are in `cli/tables`.
"""
