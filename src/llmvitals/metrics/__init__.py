"""The metrics: names, units, how they are read from the sums and how people read them."""
