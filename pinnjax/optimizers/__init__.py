"""Parameter space: second-order optimisers, each an ordinary optax transform whose update is the whole step."""

from pinnjax.optimizers.bfgs import bfgs
from pinnjax.optimizers.ssbfgs import ssbfgs
from pinnjax.optimizers.ssbroyden import ssbroyden

__all__ = ["bfgs", "ssbfgs", "ssbroyden"]
