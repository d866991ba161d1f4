"""pinnjax: diagnose and cure the gradient pathologies of physics-informed neural networks, inside one XLA program.

Verbs and operators are flat; methods are called through their space: `pinnjax.point_weights.self_adaptive`,
`pinnjax.term_weights.lr_annealing`.
"""

import importlib
from typing import Any

from pinnjax import diagnostics, monitors, nn, optimizers, point_weights, sampling, term_weights
from pinnjax.deploy import export
from pinnjax.derivatives import component, curl, diff, directional, divergence, grad, hessian, laplacian
from pinnjax.doctor import Diagnosis, diagnose
from pinnjax.metrics import relative_l2
from pinnjax.solver import Solution, solve
from pinnjax.terms import batchwise, point_grad_norms, pullback, residuals, value_and_grads
from pinnjax.train import checkpoint
from pinnjax.train.balanced import balanced
from pinnjax.train.correction import correction
from pinnjax.train.evolve import evolve
from pinnjax.train.fit import fit
from pinnjax.train.march import march
from pinnjax.train.monitor import Monitor
from pinnjax.train.phases import Phase
from pinnjax.train.state import TrainState, TrainStep
from pinnjax.train.step import train_step

__version__ = "0.1.0"


def __getattr__(name: str) -> Any:
    """`pinnjax.deploy`, `plot`, `problems` and `subdomains` without imports of their own, for those who ask."""
    if name in ("deploy", "plot", "problems", "subdomains"):
        return importlib.import_module(f"pinnjax.{name}")
    raise AttributeError(f"module 'pinnjax' has no attribute {name!r}")


__all__ = [
    "Diagnosis",
    "Monitor",
    "Phase",
    "Solution",
    "TrainState",
    "TrainStep",
    "balanced",
    "batchwise",
    "checkpoint",
    "component",
    "correction",
    "curl",
    "diagnose",
    "diagnostics",
    "diff",
    "directional",
    "divergence",
    "evolve",
    "export",
    "fit",
    "grad",
    "hessian",
    "laplacian",
    "march",
    "monitors",
    "nn",
    "optimizers",
    "point_grad_norms",
    "point_weights",
    "pullback",
    "relative_l2",
    "residuals",
    "sampling",
    "solve",
    "term_weights",
    "train_step",
    "value_and_grads",
]
