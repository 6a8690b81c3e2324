"""Benchmarks, run from the repository's root: `python -m benchmarks.training_step`.

`python -m benchmarks.smoke` runs every one of them at minimal size.
"""

import os

# Before torch is imported: waiting threads sleep, so that other work on the machine disturbs less.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
