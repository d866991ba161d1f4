"""Rules of what the probe has come to: the length of its steps, and whether the problem is solved."""

import numpy as np

from pinnjax.doctor.diagnosis import NOT_SOLVED, Check
from pinnjax.doctor.evidence import SHORT, Evidence
from pinnjax.doctor.rules.thresholds import OURS, SOLVED, UNFINISHED, UNLEARNT


def learning_rate(evidence: Evidence) -> list[Check]:
    """Steps much longer, or much shorter, than what lowers the loss most in their own direction."""
    if evidence.length is None:
        return []
    left = [evidence.left(t) for t in evidence.names]
    size = f"{evidence.step_size:.1e} a parameter"
    source = "the range test of Smith 2017, along the step; threshold pinnjax"
    about = "of the last steps, the length that lowers the loss most"
    large = Check(
        "learning rate too large",
        about,
        evidence.length,
        1 / 64,
        source,
        max(left) > UNFINISHED,
        f"steps of {size} are at least {1 / max(evidence.length, 1e-4):.3g} times longer than what lowers the loss "
        "most in their own direction: they jump over the minimum",
        f"optimizer=optax.adam({_rate(evidence.step_size * evidence.length):.0e})",
        below=True,
    )
    small = Check(
        "learning rate too small",
        about,
        evidence.length,
        64.0,
        source,
        min(left) > UNLEARNT,  # in a narrow valley steps are short as well, and some term is learnt
        f"steps of {size} could be {evidence.length:.3g} times longer in their own direction: training creeps",
        f"optimizer=optax.adam({_rate(evidence.step_size * evidence.length):.0e})",
    )
    return [large, small]


def unsolved(evidence: Evidence) -> list[Check]:
    """What training has not come to, whatever the reason."""
    if evidence.steps < SHORT:
        return []
    remedy = "solution = pj.solve(terms, points)  # second order, in scaled units, on points drawn anew"
    found = []
    if evidence.error is not None:
        message = f"the error against the exact solution is {evidence.error:.2g}, and no rule above says why"
        about = "relative L2 error against the exact solution"
        found.append(Check(NOT_SOLVED, about, evidence.error, SOLVED, OURS, True, message, remedy))
    for term, share in (evidence.relative or {}).items():
        message = (
            f"the residual of `{term}` is {share:.2g} of what an error as large as the field would leave, and no rule "
            "above says why"
        )
        about = f"residual of `{term}` / that of an error of 100 %"
        # Where the error is known, it decides.
        harm = evidence.error is None
        found.append(Check(NOT_SOLVED, about, share, SOLVED, OURS, harm, message, remedy))
    return found


def _rate(size: float) -> float:
    return float(np.clip(size, 1e-4, 1e-2))
