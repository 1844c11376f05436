"""Private Evolution Studio: differentially private synthetic images."""

import os

__version__ = "0.1.0"

# Read by the OpenMP of torch and faiss when they load. Threads that wait by spinning make a run up
# to ten times slower as soon as anything else, such as the browser that shows it, wants a core.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
