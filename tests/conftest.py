"""Each process of the test suite computes on one thread, as a worker does: pytest-xdist starts one for each core."""

import os

for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[name] = "1"  # before torch and NumPy are imported; commands that the tests start inherit it
