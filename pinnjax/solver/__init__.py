"""The solver: an equation in, the trained field out, with what it is worth; a thin layer over all the others."""

from pinnjax.solver.solve import Solution, solve

__all__ = ["Solution", "solve"]
