"""The rules: from evidence to checks, one function a pathology, root causes first.

A pathology is found where its measure crosses the threshold *and* something is left to learn: a solved term has small
gradients, uneven residuals and opposite gradients too, and is not ill. Thresholds without a paper are pinnjax's own,
chosen between planted pathologies and healthy runs (`tests/test_doctor.py`). Each is written once, where its check is.

A change is code: arguments of `pinnjax.train_step`, or of the network. Where no code helps, it is a comment.
"""

from collections.abc import Callable, Sequence

from pinnjax.doctor.diagnosis import Check
from pinnjax.doctor.evidence import Evidence
from pinnjax.doctor.rules.between_terms import conflicting_terms, loss_balance_crisis
from pinnjax.doctor.rules.ill_posed import no_gradient, nonfinite, saturated_network, wrong_condition
from pinnjax.doctor.rules.outcome import learning_rate, unsolved
from pinnjax.doctor.rules.within_terms import (
    causality_violation,
    drowned_points,
    no_progress,
    spectral_bias,
    too_few_points,
)

__all__ = [
    "RULES",
    "causality_violation",
    "conflicting_terms",
    "drowned_points",
    "learning_rate",
    "loss_balance_crisis",
    "no_gradient",
    "no_progress",
    "nonfinite",
    "saturated_network",
    "spectral_bias",
    "too_few_points",
    "unsolved",
    "wrong_condition",
]

RULES: Sequence[Callable[[Evidence], list[Check]]] = (
    wrong_condition,
    no_gradient,
    saturated_network,
    learning_rate,
    loss_balance_crisis,
    too_few_points,
    causality_violation,
    spectral_bias,
    drowned_points,
    conflicting_terms,
)
