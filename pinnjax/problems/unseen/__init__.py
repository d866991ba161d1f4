"""Problems without a recipe, on which `pinnjax scoreboard` tries what needs none.

No setting of training was chosen on them. The limits of the error estimate were (`pinnjax.solver._newton`), with four
of them in view: van_der_pol, kovasznay, l_shape and inverse_heat. Each is made when it is asked for, since references
take their time.
"""

import importlib

from pinnjax.problems._problem import Problem

MODULES = {
    "taylor_green": "taylor_green",
    "kovasznay": "kovasznay",
    "beltrami": "beltrami",
    "l_shape": "l_shape",
    "plate": "plate",
    "helmholtz_6": "helmholtz_high",
    "helmholtz_10": "helmholtz_high",
    "robin_heat": "robin_heat",
    "boundary_layer": "boundary_layer",
    "van_der_pol": "van_der_pol",
    "lorenz": "lorenz",
    "fisher": "fisher",
    "eikonal": "eikonal",
    "poisson_3d": "poisson_nd",
    "poisson_5d": "poisson_nd",
    "eigenvalue": "eigenvalue",
    "inverse_heat": "inverse_heat",
    "inverse_oscillator": "inverse_oscillator",
}


def problem(name: str) -> Problem:
    """One of them.

    Args:
        name: a key of `MODULES`.

    Example:
        >>> problem("van_der_pol").title
        "Van der Pol's oscillator, μ = 1, up to t = 10"
    """
    return getattr(importlib.import_module(f"{__name__}.{MODULES[name]}"), name)
