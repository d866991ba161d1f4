"""Reference solutions in double precision with NumPy: quadrature, and spectral solvers; no network, no JAX.

Those that take seconds are stored beside this file, with an estimate of their own error by refinement; they are made
anew by `python -m pinnjax.problems.references`.
"""

from pinnjax.problems.references.store import load

__all__ = ["load"]
