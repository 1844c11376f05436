"""Private Evolution Studio: differentially private synthetic images."""

import os

__version__ = "0.1.0"

# Read by the OpenMP of torch and faiss when they load. By default, threads that wait spin for so
# long that a run becomes several times slower as soon as anything else wants a core, such as the
# browser that shows it. Short spins cost little.
os.environ.setdefault("GOMP_SPINCOUNT", "20000")
