"""The rules: from evidence to checks, one function a pathology, root causes first.

A pathology is found where its measure crosses the threshold *and* something is left to learn: a solved term has small
gradients, uneven residuals and opposite gradients too, and is not ill. Thresholds without a paper are pinnjax's own,
chosen between planted pathologies and healthy runs (`tests/test_doctor.py`). Each is written once, where its check is.

A change is code: arguments of `pinnjax.train_step`, or of the network. Where no code helps, it is a comment.
"""

import itertools
from collections.abc import Callable, Sequence

import jax.numpy as jnp
import numpy as np

from pinnjax import diagnostics
from pinnjax.doctor import wording
from pinnjax.doctor.diagnosis import Check
from pinnjax.doctor.probe import Evidence

OURS = "pinnjax"
TINY = float(np.finfo(np.float32).tiny)
LEARNT = 0.005  # a term of which less is left is learnt, or about to be
UNFINISHED = 0.02  # a term of which more is left still has to fall
UNLEARNT = 0.3  # a term of which more is left has not been learnt at all
STILL = 0.97  # a loss that keeps more than this share over the second half of the probe has stopped falling
CREEPING = 0.9  # the same of one term, whose loss may creep while another's rises
EVEN = 0.4  # share of the points that carry a loss; below it a few points own it


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
        loss = evidence.start.losses[term]
        if norm < TINY:
            message = f"the gradient of `{term}` is zero, though its loss is {loss:.2g}: it does not see the parameters"
            remedy = "activation=jnp.tanh  # derivatives of a piecewise linear network vanish"
            about = f"|gradient of `{term}`|, largest"
            found.append(Check("no gradient", about, norm, TINY, OURS, loss > 0, message, remedy, below=True))
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


def loss_balance_crisis(evidence: Evidence) -> list[Check]:
    """One term's gradient, or its rate of convergence, is beyond a hundred times another's, which is not learnt.

    Where training stalls the gradients cancel, and have become equal: the rates still differ.
    """
    if not evidence.steps or len(evidence.names) < 2:
        return []
    norms = {t: evidence.history[f"grad_norm/{t}"] * np.abs(evidence.history[f"weight/{t}"]) for t in evidence.names}
    over = lambda a, b: np.asarray(a, float) / np.maximum(np.asarray(b, float), TINY)

    def gradients(s: str, t: str) -> float:
        return float(np.quantile(over(norms[s], norms[t]), 0.9))

    def rates(s: str, t: str) -> float:
        return float(min(over(at.rates[s], at.rates[t]) for at in (evidence.start, evidence.end)))

    measures = {
        "gradients": (
            gradients,
            "|gradient of `{}`| / |gradient of `{}`|, in a tenth of the probe",
            "Wang, Teng, Perdikaris 2021; threshold: the 10² rule",
            "term_weights=pj.term_weights.lr_annealing({})",
        ),
        "rates of convergence": (
            rates,
            "rate of convergence of `{}` / of `{}`, by the tangent kernel",
            "Wang, Yu, Perdikaris 2022; threshold pinnjax",
            "term_weights=pj.term_weights.ntk()",
        ),
    }
    found = []
    for what, (measure, about, source, rule) in measures.items():
        ratios = {pair: measure(*pair) for pair in itertools.permutations(evidence.names, 2)}
        starved = {pair: ratio for pair, ratio in ratios.items() if evidence.left(pair[1]) > LEARNT}
        among = starved or ratios
        large, small = max(among, key=among.__getitem__)
        ratio = ratios[large, small]
        message = (
            f"the {what} of `{small}` are {ratio:.3g}x smaller than those of `{large}`, and of its loss "
            f"{wording.share(evidence.left(small))} is left"
        )
        where, remedy = about.format(large, small), rule.format(wording.quoted(large))
        found.append(Check("loss-balance crisis", where, ratio, 100.0, source, bool(starved), message, remedy))
    return found


def too_few_points(evidence: Evidence) -> list[Check]:
    """Points that were learnt by heart."""
    found = []
    for term, fresh in evidence.end.fresh.items():
        own = evidence.end.losses[term]
        ratio = fresh / own if own > 0 else np.inf
        harm = fresh > LEARNT * max(evidence.start.fresh[term], evidence.start.losses[term])
        message = (
            f"the loss of `{term}` is {ratio:.3g}x larger at fresh points than at its own: they were learnt by heart"
        )
        remedy = wording.resampled(evidence, term)
        about = f"loss of `{term}` at fresh points / at its own"
        found.append(Check("too few points", about, float(ratio), 10.0, OURS, harm, message, remedy))
    return found


def causality_violation(evidence: Evidence) -> list[Check]:
    """Late times are learnt before early ones."""
    before, now = evidence.start.time_losses, evidence.end.time_losses
    if before is None or now is None or evidence.in_time is None or not evidence.steps:
        return []
    equations = [t for t in evidence.names if evidence.owner(t) == evidence.in_time]
    share = float(diagnostics.causality_violation(jnp.asarray(before), jnp.asarray(now)))
    with np.errstate(divide="ignore", invalid="ignore"):
        first_left, last_left = _thirds(np.asarray(now) / np.asarray(before))
    early, late = _thirds(now)
    # A network is nearly constant at first, and leaves small residuals at times of small forces: that later times fell
    # by a larger factor is no disorder. It is where they wait for early ones, which stay as they are.
    harm = first_left > 0.1 and early > 10 * late and all(evidence.falls(t) > CREEPING for t in equations)
    message = (
        f"of {share:.0%} of the pairs of times the later was learnt first: the residual has settled at late times "
        f"({last_left:.1%} left) while the early ones, which they follow from, are not learnt ({first_left:.0%} left, "
        f"{early / late if late > 0 else np.inf:.3g} times the late ones) and learn no more"
    )
    # The residual that is left switches late times off.
    epsilon = 20 / (32 * max(float(np.nanmean(now)), 1e-30))
    first_time, last_time = (wording.text(corner[evidence.time]) for corner in evidence.box[evidence.in_time])
    remedy = (
        f"point_weights=pj.point_weights.causal([{wording.quoted(evidence.in_time)}], "
        f"interval=({first_time}, {last_time}), "
        f"epsilon={epsilon:.1g}, time=lambda points: points[:, {evidence.time}])"
    )
    source = "Wang, Sankaran, Perdikaris 2024; threshold pinnjax"
    return [
        Check("causality violation", "pairs of times learnt in reverse", share, 0.75, source, harm, message, remedy)
    ]


def spectral_bias(evidence: Evidence) -> list[Check]:
    """A residual of many waves that does not fall."""
    found = []
    for term, waves in evidence.end.waves.items():
        if not evidence.steps:
            continue
        most = float(np.max(waves))
        harm = evidence.left(term) > UNLEARNT and evidence.end.homogeneity[term] > EVEN
        message = (
            f"the residual of `{term}` oscillates {most:.2g} times across the domain, and of its loss "
            f"{wording.share(evidence.left(term))} is left: the network does not learn this frequency"
        )
        lower, upper = wording.domain(evidence, len(waves))
        sides = np.where(upper > lower, upper - lower, 1.0)  # of no length where all points share a coordinate
        scale = ", ".join(f"{max(k, 0.5) / side:.2g}" for k, side in zip(waves, sides, strict=True))
        scale = scale if len(waves) == 1 else f"({scale})"
        remedy = (
            f"inputs = pj.nn.FourierFeatures({len(waves)}, 64, scale={scale}, rngs=pj.nn.Rngs(0))"
            "  # MLP(inputs.features, ..., inputs=inputs)"
        )
        source = "Rahaman et al. 2019; Wang, Wang, Perdikaris 2021; threshold pinnjax"
        about = f"waves of the residual of `{term}` across the domain"
        found.append(Check("spectral bias", about, most, 3.0, source, harm, message, remedy))
    return found


def drowned_points(evidence: Evidence) -> list[Check]:
    """A few points own a loss that does not fall."""
    found = []
    for term, share in evidence.end.homogeneity.items():
        if not evidence.steps or term not in evidence.end.waves:
            continue
        message = (
            f"{share:.0%} of the points of `{term}` carry its loss, of which {wording.share(evidence.left(term))} "
            "is left: they are drowned in the mean over the others"
        )
        # Weights that remember points need points that stay.
        chosen = f"terms=[{wording.quoted(evidence.owner(term))}]" if evidence.short_lived else ""
        remedy = f"point_weights=pj.point_weights.residual_attention({chosen})"
        if evidence.owner(term) in evidence.short_lived:
            remedy = f"# points that stay, in the batch, and then {remedy}"
        source = "Anagnostopoulos et al. 2024; threshold pinnjax"
        about = f"share of the points that carry the loss of `{term}`"
        harm = evidence.left(term) > LEARNT
        found.append(Check("drowned points", about, share, EVEN, source, harm, message, remedy, below=True))
    return found


def conflicting_terms(evidence: Evidence) -> list[Check]:
    """Two terms that undo each other's steps, so that their losses fall no more while one of them still has to.

    Gradients that oppose each other are no harm in themselves: terms that fall together have them most of the time.
    """
    if not evidence.steps:
        return []
    found = []
    for s, t in itertools.combinations(sorted(evidence.names), 2):
        cosine = float(np.median(evidence.late(f"cosine/{s}|{t}")))
        stalls = evidence.falls(s, t) > STILL and min(evidence.falls(s), evidence.falls(t)) > CREEPING
        harm = stalls and max(evidence.left(s), evidence.left(t)) > UNFINISHED
        message = (
            f"the gradients of `{s}` and `{t}` point against each other (cosine {cosine:.2f}), and training stalls "
            f"with {wording.share(evidence.left(s))} and {wording.share(evidence.left(t))} of their losses left"
        )
        remedy = "term_weights=pj.term_weights.config()  # and look at their signs: can the two be satisfied together?"
        source = "Yu et al. 2020; Liu, Chu, Thuerey 2025; threshold pinnjax"
        found.append(
            Check("conflicting terms", f"cosine of `{s}` and `{t}`", cosine, -0.5, source, harm, message, remedy, True)
        )
    return found


def no_progress(evidence: Evidence) -> list[Check]:
    """A term that has not fallen and does not."""
    found = []
    for term in evidence.names if evidence.steps else ():
        left = evidence.left(term)
        message = (
            f"of the loss of `{term}` {wording.share(left)} is left after {evidence.steps} steps, it falls no more, "
            "and no rule above says why"
        )
        remedy = "# more steps, or another learning rate"
        about = f"loss of `{term}` left"
        found.append(Check("no progress", about, left, 0.7, OURS, evidence.falls(term) > STILL, message, remedy))
    return found


RULES: Sequence[Callable[[Evidence], list[Check]]] = (
    wrong_condition,
    no_gradient,
    saturated_network,
    loss_balance_crisis,
    too_few_points,
    causality_violation,
    spectral_bias,
    drowned_points,
    conflicting_terms,
)


def _thirds(values: np.ndarray) -> tuple[float, float]:
    """Means over the first third of time and the last; slices without points or without a loss count for nothing."""
    third = max(1, len(values) // 3)
    means = []
    for part in (values[:third], values[-third:]):
        known = part[np.isfinite(part)]
        means.append(float(np.mean(known)) if len(known) else 0.0)
    return means[0], means[1]
