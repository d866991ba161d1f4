"""pinnjax: diagnose and cure the gradient pathologies of physics-informed neural networks, inside one XLA program."""

from pinnjax import nn, sampling
from pinnjax.balanced import balanced
from pinnjax.derivatives import component, curl, diff, directional, divergence, grad, hessian, laplacian
from pinnjax.fit import fit
from pinnjax.losses import value_and_grads
from pinnjax.metrics import relative_l2
from pinnjax.point_weights import self_adaptive
from pinnjax.step import TrainState, TrainStep, train_step
from pinnjax.term_weights import (
    fixed,
    grad_norm_ratio,
    gradnorm,
    inverse_dirichlet,
    lr_annealing,
    relobralo,
    softadapt,
)
from pinnjax.terms import batchwise, pullback, residuals

__version__ = "0.1.0"

__all__ = [
    "TrainState",
    "TrainStep",
    "balanced",
    "batchwise",
    "component",
    "curl",
    "diff",
    "directional",
    "divergence",
    "fit",
    "fixed",
    "grad",
    "grad_norm_ratio",
    "gradnorm",
    "hessian",
    "inverse_dirichlet",
    "laplacian",
    "lr_annealing",
    "nn",
    "pullback",
    "relative_l2",
    "relobralo",
    "residuals",
    "sampling",
    "self_adaptive",
    "softadapt",
    "train_step",
    "value_and_grads",
]
