"""Our detectors beside the baselines that people use today."""

import os

# Two worlds run at once, each on a core of its own.
for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(_name, "1")
