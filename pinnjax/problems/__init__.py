"""Problems with references: each file states the equations as a reader would write them, and how others fared."""

from pinnjax.problems.harmonic import harmonic
from pinnjax.problems.helmholtz import helmholtz
from pinnjax.problems.problem import Problem, Recipe
from pinnjax.problems.race import Lap, race
from pinnjax.problems.solve import Solution, solve

__all__ = ["Lap", "Problem", "Recipe", "Solution", "harmonic", "helmholtz", "race", "solve"]
