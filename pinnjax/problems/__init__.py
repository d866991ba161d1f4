"""Problems with references: each file states the equations as a reader would write them, and how others fared.

Your own is a `Problem` of three fields: terms, points, and a reference where there is one.
"""

from pinnjax.problems._defaults import STEPS
from pinnjax.problems._points import Given
from pinnjax.problems._prepare import (
    begin,
    draws_anew,
    dtypes,
    numbers_of_points,
    phases,
    points_that_stay,
    prepare,
    step_options,
)
from pinnjax.problems._problem import COMPARED, Problem, Recipe
from pinnjax.problems._second_order import EVERY, WARM_UP, second_order
from pinnjax.problems._solve import EVALUATIONS, Solution, solve
from pinnjax.problems._windows import in_windows
from pinnjax.problems.advection import advection
from pinnjax.problems.allen_cahn import allen_cahn
from pinnjax.problems.burgers import burgers
from pinnjax.problems.cavity import cavity, cavity_uvp, cavity_with
from pinnjax.problems.convection_diffusion import convection_diffusion
from pinnjax.problems.gray_scott import gray_scott
from pinnjax.problems.harmonic import harmonic
from pinnjax.problems.helmholtz import helmholtz
from pinnjax.problems.inverse_burgers import inverse_burgers
from pinnjax.problems.kdv import kdv
from pinnjax.problems.klein_gordon import klein_gordon
from pinnjax.problems.kuramoto_sivashinsky import kuramoto_sivashinsky
from pinnjax.problems.poisson import poisson, poisson_with
from pinnjax.problems.reaction import reaction
from pinnjax.problems.schroedinger import schroedinger
from pinnjax.problems.tanh import tanh
from pinnjax.problems.wave import wave

__all__ = [
    "COMPARED",
    "EVALUATIONS",
    "EVERY",
    "STEPS",
    "WARM_UP",
    "Given",
    "Problem",
    "Recipe",
    "Solution",
    "advection",
    "allen_cahn",
    "begin",
    "burgers",
    "cavity",
    "cavity_uvp",
    "cavity_with",
    "convection_diffusion",
    "draws_anew",
    "dtypes",
    "gray_scott",
    "harmonic",
    "helmholtz",
    "in_windows",
    "inverse_burgers",
    "kdv",
    "klein_gordon",
    "kuramoto_sivashinsky",
    "numbers_of_points",
    "phases",
    "points_that_stay",
    "poisson",
    "poisson_with",
    "prepare",
    "reaction",
    "schroedinger",
    "second_order",
    "solve",
    "step_options",
    "tanh",
    "wave",
]
