"""Term space: optax transforms whose updates are the gradients of the terms, `{term: like params}`.

`init({term: params})`, then `update({term: grads}, state, params=None, *, losses, residuals, **extra)`, with the same
structure in and out, so balancers chain with each other and with plain optax transforms. A rule that is a scalar
weight a term keeps it in its state as `weights: {term: ()}`, where `optax.tree.get(state, "weights")` finds it.
"""

from pinnjax.term_weights.aligned_mtl import aligned_mtl
from pinnjax.term_weights.config import config
from pinnjax.term_weights.fixed import FixedState, fixed
from pinnjax.term_weights.grad_norm_ratio import grad_norm_ratio
from pinnjax.term_weights.gradnorm import gradient_norms, gradnorm, gradnorm_loss, inverse_training_rates
from pinnjax.term_weights.imtl_g import imtl_g
from pinnjax.term_weights.inverse_dirichlet import inverse_dirichlet
from pinnjax.term_weights.lr_annealing import lr_annealing
from pinnjax.term_weights.mgda import mgda
from pinnjax.term_weights.pcgrad import pcgrad
from pinnjax.term_weights.relobralo import relobralo
from pinnjax.term_weights.scaling import ScalarWeightsState
from pinnjax.term_weights.softadapt import softadapt
from pinnjax.term_weights.upgrad import upgrad

__all__ = [
    "FixedState",
    "ScalarWeightsState",
    "aligned_mtl",
    "config",
    "fixed",
    "grad_norm_ratio",
    "gradient_norms",
    "gradnorm",
    "gradnorm_loss",
    "imtl_g",
    "inverse_dirichlet",
    "inverse_training_rates",
    "lr_annealing",
    "mgda",
    "pcgrad",
    "relobralo",
    "softadapt",
    "upgrad",
]
