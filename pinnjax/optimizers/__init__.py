"""Parameter space: second-order optimisers, each an ordinary optax transform whose update is the whole step."""

from pinnjax.optimizers.bfgs import bfgs
from pinnjax.optimizers.from_optimistix import from_optimistix
from pinnjax.optimizers.gauss_newton import gauss_newton
from pinnjax.optimizers.grown import grown
from pinnjax.optimizers.nystrom_natural_gradient import nystrom_natural_gradient
from pinnjax.optimizers.soap import soap
from pinnjax.optimizers.spring import spring
from pinnjax.optimizers.ssbfgs import ssbfgs
from pinnjax.optimizers.ssbroyden import ssbroyden

__all__ = [
    "bfgs",
    "from_optimistix",
    "gauss_newton",
    "grown",
    "nystrom_natural_gradient",
    "soap",
    "spring",
    "ssbfgs",
    "ssbroyden",
]
