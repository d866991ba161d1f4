"""Parameter space: second-order optimisers, each an ordinary optax transform whose update is the whole step."""

from pinnjax.optimizers.from_optimistix import from_optimistix
from pinnjax.optimizers.nystrom_natural_gradient import nystrom_natural_gradient
from pinnjax.optimizers.soap import soap
from pinnjax.optimizers.spring import spring

__all__ = ["from_optimistix", "nystrom_natural_gradient", "soap", "spring"]
