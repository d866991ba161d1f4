"""Term space: optax transforms whose updates are the gradients of the terms, `{term: like params}`.

`init({term: params})`, then `update({term: grads}, state, params=None, *, losses, residuals, **extra)`, with the same
structure in and out, so balancers chain with each other and with plain optax transforms. A rule that is a scalar
weight a term keeps it in its state as `weights: {term: ()}`, where `optax.tree.get(state, "weights")` finds it.
"""

from pinnjax.term_weights._state import EVENTS, ScalarWeightsState, current_weights, numbers_by_term
from pinnjax.term_weights._wrappers import bounded, guarded, normalized, smoothed
from pinnjax.term_weights.aligned_mtl import aligned_mtl
from pinnjax.term_weights.augmented_lagrangian import augmented_lagrangian
from pinnjax.term_weights.brdr_scale import brdr_scale
from pinnjax.term_weights.cagrad import cagrad
from pinnjax.term_weights.config import config
from pinnjax.term_weights.db_pinn import db_pinn
from pinnjax.term_weights.dcgd import dcgd
from pinnjax.term_weights.dwa import dwa
from pinnjax.term_weights.fixed import FixedState, fixed
from pinnjax.term_weights.grad_norm_ratio import grad_norm_ratio
from pinnjax.term_weights.gradnorm import gradient_norms, gradnorm, gradnorm_loss, inverse_training_rates
from pinnjax.term_weights.held import held
from pinnjax.term_weights.imtl_g import imtl_g
from pinnjax.term_weights.inverse_dirichlet import inverse_dirichlet
from pinnjax.term_weights.lr_annealing import lr_annealing
from pinnjax.term_weights.m_config import m_config
from pinnjax.term_weights.mgda import mgda
from pinnjax.term_weights.minimax import minimax
from pinnjax.term_weights.multiadam import multiadam
from pinnjax.term_weights.nash_mtl import nash_mtl
from pinnjax.term_weights.ntk import ntk
from pinnjax.term_weights.pcgrad import pcgrad
from pinnjax.term_weights.per_term import per_term
from pinnjax.term_weights.random import random
from pinnjax.term_weights.relobralo import relobralo
from pinnjax.term_weights.scheduled import scheduled
from pinnjax.term_weights.skip_exploding import skip_exploding
from pinnjax.term_weights.softadapt import softadapt
from pinnjax.term_weights.uncertainty import uncertainty
from pinnjax.term_weights.upgrad import upgrad
from pinnjax.term_weights.van_der_meer import magnitude_normalized, van_der_meer

__all__ = [
    "EVENTS",
    "FixedState",
    "ScalarWeightsState",
    "aligned_mtl",
    "augmented_lagrangian",
    "bounded",
    "brdr_scale",
    "cagrad",
    "config",
    "current_weights",
    "db_pinn",
    "dcgd",
    "dwa",
    "fixed",
    "grad_norm_ratio",
    "gradient_norms",
    "gradnorm",
    "gradnorm_loss",
    "guarded",
    "held",
    "imtl_g",
    "inverse_dirichlet",
    "inverse_training_rates",
    "lr_annealing",
    "m_config",
    "magnitude_normalized",
    "mgda",
    "minimax",
    "multiadam",
    "nash_mtl",
    "normalized",
    "ntk",
    "numbers_by_term",
    "pcgrad",
    "per_term",
    "random",
    "relobralo",
    "scheduled",
    "skip_exploding",
    "smoothed",
    "softadapt",
    "uncertainty",
    "upgrad",
    "van_der_meer",
]
