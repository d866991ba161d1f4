"""Rules of what no training cures: residuals, conditions and networks that are wrong as they stand."""

import numpy as np

from pinnjax.doctor import wording
from pinnjax.doctor.diagnosis import Check
from pinnjax.doctor.evidence import Evidence
from pinnjax.doctor.rules.thresholds import OURS, TINY


def nonfinite(evidence: Evidence) -> list[Check]:
    """Residuals, losses or gradients that are not finite."""
    about = "steps not finite, share of the probe"
    if evidence.broken:
        term, point = next(iter(evidence.broken.items()))
        at = "" if point is None else f" at the point {np.array2string(np.asarray(point), precision=4)}"
        message = f"the residual of `{term}` is not finite{at}, before any training"
        remedy = "# look at that residual there: a division by zero, a root or a logarithm of something negative?"
        return [Check("not finite", about, 1.0, 0.0, OURS, True, message, remedy)]
    if not evidence.steps:
        return []
    share = float(evidence.history["skipped"][-1]) / evidence.steps
    which = [t for t in evidence.names if evidence.history[f"nonfinite/{t}"][-1] > 0]
    message = f"{share:.0%} of the steps were skipped since a loss or gradient was not finite (terms {which})"
    remedy = "optimizer=optax.chain(optax.clip_by_global_norm(1.0), optax.adam(1e-4))"
    return [Check("not finite", about, share, 0.0, OURS, True, message, remedy)]


def wrong_condition(evidence: Evidence) -> list[Check]:
    """A term that the exact solution does not satisfy, beyond the noise of data: a wrong sign, factor or side."""
    if evidence.reference is None:
        return []
    found = []
    for term, (exact, untrained) in evidence.reference.items():
        ratio = exact / untrained if untrained > 0 else float(exact > 0)
        message = (
            f"the exact solution itself leaves a residual of {exact:.2g} in `{term}`, {ratio:.2g} times the untrained "
            "network's: that condition is not the one of this solution"
        )
        remedy = f"# look at `{term}` again: a sign, a factor, the side on which it is imposed"
        about = f"|residual of `{term}`| of the exact solution / of the untrained network"
        found.append(Check("wrong condition", about, ratio, 0.1, OURS, True, message, remedy))
    return found


def no_gradient(evidence: Evidence) -> list[Check]:
    """A term that does not see the parameters."""
    found = []
    for term in evidence.names if evidence.steps else ():
        norm = float(np.max(evidence.history[f"grad_norm/{term}"]))
        never = evidence.start.rates[term] == 0  # or it was lost on the way, in steps that were too long
        loss = evidence.start.losses[term]
        if norm < TINY:
            message = f"the gradient of `{term}` is zero, though its loss is {loss:.2g}: it does not see the parameters"
            remedy = "activation=jnp.tanh  # derivatives of a piecewise linear network vanish"
            about = f"|gradient of `{term}`|, largest"
            found.append(Check("no gradient", about, norm, TINY, OURS, loss > 0 and never, message, remedy, below=True))
    return found


def saturated_network(evidence: Evidence) -> list[Check]:
    """Layers whose units have lost their slope before training, or died in it."""
    source = "Glorot, Bengio 2010; threshold pinnjax"
    worst = []
    for what, threshold, shares in (
        ("saturated", 0.6, evidence.start.saturation),
        ("saturated at all points", 0.4, evidence.start.dead),
    ):
        if len(shares):
            layer, share = int(np.argmax(shares)) + 1, float(np.max(shares))
            message = f"{share:.0%} of the units of the layer of activations {layer} are {what} before training"
            about = f"units {what}, layer {layer}"
            worst.append(
                Check(
                    "saturated network", about, share, threshold, source, True, message, wording.standardized(evidence)
                )
            )
    found = [check for check in worst if check.found]
    return [*found[:1], *(check for check in worst if not check.found)]
