"""Problems with references: each file states the equations as a reader would write them, and how others fared."""

from pinnjax.problems.helmholtz import helmholtz
from pinnjax.problems.problem import Problem, Recipe
from pinnjax.problems.solve import Solution, solve

__all__ = ["Problem", "Recipe", "Solution", "helmholtz", "solve"]
