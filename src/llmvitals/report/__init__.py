"""What alerts have done, from the points in the store: `alerts history` and `alerts report`.

`past` reads the changes, `summary` and `suggest` are what comes of them, `show` prints it.
"""
