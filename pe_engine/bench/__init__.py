"""How fast is this machine: ``python -m pe_engine bench``.

Everything is measured on the product's own functions: the generator and the embedder through their
seams, the votes through ``voting.nearest_candidates``, and a whole generation as the loop of
``evolution.Evolution`` runs it. What they are compared with, the public seed system's way of doing
the same work and each piece of speed work turned off, is kept in this package, so that no product
code has a switch for it.
"""
