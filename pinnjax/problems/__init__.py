"""Problems with references: each file states the equations as a reader would write them, and how others fared."""

from pinnjax.problems.allen_cahn import allen_cahn
from pinnjax.problems.burgers import burgers
from pinnjax.problems.harmonic import harmonic
from pinnjax.problems.helmholtz import helmholtz
from pinnjax.problems.problem import Problem, Recipe
from pinnjax.problems.race import Lap, race
from pinnjax.problems.solve import Solution, solve
from pinnjax.problems.tanh import tanh
from pinnjax.problems.wave import wave

__all__ = [
    "Lap",
    "Problem",
    "Recipe",
    "Solution",
    "allen_cahn",
    "burgers",
    "harmonic",
    "helmholtz",
    "race",
    "solve",
    "tanh",
    "wave",
]
