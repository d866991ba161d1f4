"""Networks for fields: `nnx` modules that see one point and return `()` or `(m,)`."""

from flax.nnx import Module as Module  # for networks and coefficients of ones own; flax documents them
from flax.nnx import Param as Param

from pinnjax.nn.constrained import Constrained
from pinnjax.nn.corrected import Corrected
from pinnjax.nn.inputs import FourierFeatures, Periodic, Standardize
from pinnjax.nn.mlp import MLP
from pinnjax.nn.modified_mlp import ModifiedMLP
from pinnjax.nn.random_features import RandomFeatures
from pinnjax.nn.rngs import Rngs
from pinnjax.nn.windows import Window, Windows
from pinnjax.nn.with_coefficients import WithCoefficients

__all__ = [
    "MLP",
    "Constrained",
    "Corrected",
    "FourierFeatures",
    "ModifiedMLP",
    "Periodic",
    "RandomFeatures",
    "Rngs",
    "Standardize",
    "Window",
    "Windows",
    "WithCoefficients",
]
