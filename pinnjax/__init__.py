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
    aligned_mtl,
    config,
    fixed,
    grad_norm_ratio,
    gradnorm,
    imtl_g,
    inverse_dirichlet,
    lr_annealing,
    mgda,
    pcgrad,
    relobralo,
    softadapt,
    upgrad,
)
from pinnjax.terms import batchwise, pullback, residuals

__version__ = "0.1.0"

__all__ = [
    "TrainState",
    "TrainStep",
    "aligned_mtl",
    "balanced",
    "batchwise",
    "component",
    "config",
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
    "imtl_g",
    "inverse_dirichlet",
    "laplacian",
    "lr_annealing",
    "mgda",
    "nn",
    "pcgrad",
    "pullback",
    "relative_l2",
    "relobralo",
    "residuals",
    "sampling",
    "self_adaptive",
    "softadapt",
    "train_step",
    "upgrad",
    "value_and_grads",
]
