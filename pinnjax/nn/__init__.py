"""Networks for fields: `nnx` modules that see one point and return `()` or `(m,)`."""

from flax.nnx import Module as Module  # for networks and coefficients of ones own; flax documents them
from flax.nnx import Param as Param

from pinnjax.nn.chebyshev_kan import ChebyshevKAN
from pinnjax.nn.conditions import Dirichlet, Initial, Neumann, Robin, WithConditions
from pinnjax.nn.constrained import Constrained
from pinnjax.nn.corrected import Corrected
from pinnjax.nn.evolved import Evolved
from pinnjax.nn.factorized import Factorized
from pinnjax.nn.fbpinn import FBPINN
from pinnjax.nn.grown import grown
from pinnjax.nn.inputs import FourierFeatures, Periodic, Standardize
from pinnjax.nn.mlp import MLP
from pinnjax.nn.modified_mlp import ModifiedMLP
from pinnjax.nn.piratenet import PirateNet
from pinnjax.nn.random_features import RandomFeatures
from pinnjax.nn.rngs import Rngs
from pinnjax.nn.separable import Separable
from pinnjax.nn.siren import SIREN
from pinnjax.nn.splined import Splined
from pinnjax.nn.subdomains import Subdomains
from pinnjax.nn.windows import Window, Windows
from pinnjax.nn.with_coefficients import WithCoefficients

__all__ = [
    "FBPINN",
    "MLP",
    "SIREN",
    "ChebyshevKAN",
    "Constrained",
    "Corrected",
    "Dirichlet",
    "Evolved",
    "Factorized",
    "FourierFeatures",
    "Initial",
    "ModifiedMLP",
    "Neumann",
    "Periodic",
    "PirateNet",
    "RandomFeatures",
    "Rngs",
    "Robin",
    "Separable",
    "Splined",
    "Standardize",
    "Subdomains",
    "Window",
    "Windows",
    "WithCoefficients",
    "WithConditions",
    "grown",
]
