"""The solver: an equation in, the trained field out, with what it is worth; a thin layer over all the others."""

from pinnjax.solver.solution import Solution
from pinnjax.solver.solve import solve

__all__ = ["Solution", "solve"]
