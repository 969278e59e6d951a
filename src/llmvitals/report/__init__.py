"""What alerts and statistics have done, read from the store.

`run` reads past alerts and makes the report of `summary`, `advice` and `levels`; `drift` and `canary` read
statistics. `show` makes plain data of them; tables for the terminal are in `cli/tables`.
"""
