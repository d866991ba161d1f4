"""pinnjax: diagnose and cure the gradient pathologies of physics-informed neural networks, inside one XLA program."""

import importlib
from typing import Any

from pinnjax import diagnostics, monitors, nn, sampling
from pinnjax.derivatives import component, curl, diff, directional, divergence, grad, hessian, laplacian
from pinnjax.doctor import Diagnosis, diagnose
from pinnjax.metrics import relative_l2
from pinnjax.point_weights import (
    brdr,
    by_position,
    causal,
    inverse_point_gradients,
    pecann,
    per_point_memory,
    residual_attention,
    self_adaptive,
    vrba,
)
from pinnjax.term_weights import (
    aligned_mtl,
    augmented_lagrangian,
    bounded,
    brdr_scale,
    cagrad,
    config,
    db_pinn,
    dcgd,
    dwa,
    fixed,
    grad_norm_ratio,
    gradnorm,
    guarded,
    imtl_g,
    inverse_dirichlet,
    lr_annealing,
    m_config,
    magnitude_normalized,
    mgda,
    minimax,
    multiadam,
    nash_mtl,
    normalized,
    ntk,
    pcgrad,
    per_term,
    random,
    relobralo,
    scheduled,
    skip_exploding,
    smoothed,
    softadapt,
    uncertainty,
    upgrad,
    van_der_meer,
)
from pinnjax.terms.evaluation import batchwise, pullback, residuals
from pinnjax.terms.losses import value_and_grads
from pinnjax.terms.point_gradients import point_grad_norms
from pinnjax.train import checkpoint
from pinnjax.train.balanced import balanced
from pinnjax.train.fit import fit
from pinnjax.train.monitor import Monitor
from pinnjax.train.state import TrainState, TrainStep
from pinnjax.train.step import train_step

__version__ = "0.1.0"


def __getattr__(name: str) -> Any:
    """`pinnjax.plot` without an import of its own, and without matplotlib for those who draw nothing."""
    if name == "plot":
        return importlib.import_module("pinnjax.plot")
    raise AttributeError(f"module 'pinnjax' has no attribute {name!r}")


__all__ = [
    "Diagnosis",
    "Monitor",
    "TrainState",
    "TrainStep",
    "aligned_mtl",
    "augmented_lagrangian",
    "balanced",
    "batchwise",
    "bounded",
    "brdr",
    "brdr_scale",
    "by_position",
    "cagrad",
    "causal",
    "checkpoint",
    "component",
    "config",
    "curl",
    "db_pinn",
    "dcgd",
    "diagnose",
    "diagnostics",
    "diff",
    "directional",
    "divergence",
    "dwa",
    "fit",
    "fixed",
    "grad",
    "grad_norm_ratio",
    "gradient_norm_points",
    "gradnorm",
    "guarded",
    "hessian",
    "imtl_g",
    "inverse_dirichlet",
    "laplacian",
    "lr_annealing",
    "m_config",
    "magnitude_normalized",
    "mgda",
    "minimax",
    "monitors",
    "multiadam",
    "nash_mtl",
    "nn",
    "normalized",
    "ntk",
    "pcgrad",
    "pecann",
    "per_term",
    "point_grad_norms",
    "pullback",
    "random",
    "relative_l2",
    "relobralo",
    "residual_attention",
    "residuals",
    "sampling",
    "scheduled",
    "self_adaptive",
    "skip_exploding",
    "smoothed",
    "softadapt",
    "train_step",
    "travelling",
    "uncertainty",
    "upgrad",
    "value_and_grads",
    "van_der_meer",
    "vrba",
]
