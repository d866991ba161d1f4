"""Parameter space: second-order optimisers, each an ordinary optax transform whose update is the whole step."""

from pinnjax.optimizers.bfgs import bfgs
from pinnjax.optimizers.gauss_newton import gauss_newton
from pinnjax.optimizers.ssbfgs import ssbfgs
from pinnjax.optimizers.ssbroyden import ssbroyden

__all__ = ["bfgs", "gauss_newton", "ssbfgs", "ssbroyden"]
