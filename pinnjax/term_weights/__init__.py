"""Term space: optax transforms whose updates are the gradients of the terms, `{term: like params}`.

`init({term: params})`, then `update({term: grads}, state, params=None, *, losses, residuals, **extra)`, with the same
structure in and out, so balancers chain with each other and with plain optax transforms. A rule that is a scalar
weight a term keeps it in its state as `weights: {term: ()}`, where `optax.tree.get(state, "weights")` finds it.
"""

from pinnjax.term_weights.fixed import FixedState, fixed
from pinnjax.term_weights.lr_annealing import LRAnnealingState, lr_annealing

__all__ = ["FixedState", "LRAnnealingState", "fixed", "lr_annealing"]
