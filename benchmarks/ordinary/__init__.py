"""Ordinary weeks of four companies under the starter rules."""

import os

# One process for each core.
for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(_name, "1")
