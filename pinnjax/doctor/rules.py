"""The rules: from evidence to checks, one function a pathology, root causes first.

A pathology is found where its measure crosses the threshold *and* something is left to learn: a solved term has small
gradients, uneven residuals and opposite gradients too, and is not ill. Thresholds without a paper are pinnjax's own,
chosen between planted pathologies and healthy runs (`tests/test_doctor.py`).
"""

import itertools
from collections.abc import Callable, Sequence

import jax.numpy as jnp
import numpy as np

from pinnjax import diagnostics
from pinnjax.doctor.diagnosis import Check
from pinnjax.doctor.probe import Evidence

OURS = "pinnjax"
LEARNT = 0.005  # a term of which less is left is learnt, or about to be
UNFINISHED = 0.02  # a term of which more is left still has to fall
STALLED = 0.3  # a term of which more is left has not been learnt at all


def nonfinite(seen: Evidence) -> list[Check]:
    """Residuals, losses or gradients that are not finite."""
    about = "steps not finite, share of the probe"
    if seen.broken:
        term, point = next(iter(seen.broken.items()))
        at = "" if point is None else f" at the point {np.array2string(np.asarray(point), precision=4)}"
        words = f"the residual of `{term}` is not finite{at}, before any training"
        change = "look at that residual there: a division by zero, a root or a logarithm of something negative?"
        return [Check("not finite", about, 1.0, 0.0, OURS, True, words, change)]
    if not seen.steps:
        return []
    share = float(seen.history["skipped"][-1]) / seen.steps
    which = [t for t in seen.names if seen.history[f"nonfinite/{t}"][-1] > 0]
    words = f"{share:.0%} of the steps were skipped since a loss or gradient was not finite (terms {which})"
    change = "optimizer=optax.chain(optax.clip_by_global_norm(1.0), optax.adam(1e-4))"
    return [Check("not finite", about, share, 0.0, OURS, share > 0, words, change)]


def wrong_condition(seen: Evidence) -> list[Check]:
    """A term that the exact solution does not satisfy, beyond the noise of data: a wrong sign, factor or side."""
    if seen.reference is None:
        return []
    found = []
    for term, (exact, untrained) in seen.reference.items():
        ratio = exact / untrained if untrained > 0 else float(exact > 0)
        words = (
            f"the exact solution itself leaves a residual of {exact:.2g} in `{term}`, {ratio:.2g} times the untrained "
            "network's: that condition is not the one of this solution"
        )
        change = f"look at `{term}` again: a sign, a factor, the side on which it is imposed"
        about = f"|residual of `{term}`| of the exact solution / of the untrained network"
        found.append(Check("wrong condition", about, ratio, 0.1, OURS, ratio > 0.1, words, change))
    return found


def no_gradient(seen: Evidence) -> list[Check]:
    """A term that does not see the parameters."""
    found = []
    for term in seen.names if seen.steps else ():
        norm = float(np.max(seen.history[f"grad_norm/{term}"]))
        loss = seen.start.losses[term]
        if norm == 0 and loss > 0:
            words = f"the gradient of `{term}` is zero, though its loss is {loss:.2g}: it does not see the parameters"
            change = "activation=jnp.tanh  # derivatives of a piecewise linear network vanish"
            about = f"|gradient of `{term}`|, largest"
            found.append(Check("no gradient", about, norm, 0.0, OURS, True, words, change, below=True))
    return found


def saturated_network(seen: Evidence) -> list[Check]:
    """Layers whose units have lost their slope before training, or died in it."""
    found = []
    for i, (share, dead) in enumerate(zip(seen.start.saturation, seen.start.dead, strict=True)):
        ill = bool(share > 0.6 or dead > 0.4)
        words = f"{share:.0%} of the units of hidden layer {i + 1} are saturated before training, {dead:.0%} everywhere"
        about = f"saturated units, layer {i + 1}"
        source = "Glorot, Bengio 2010; threshold pinnjax"
        found.append(Check("saturated network", about, float(share), 0.6, source, ill, words, _standardized(seen)))
    worst = max(found, key=lambda check: check.value, default=None)
    return [] if worst is None else [worst]


def loss_balance_crisis(seen: Evidence) -> list[Check]:
    """One term's gradient, or its rate of convergence, is beyond a hundred times another's, which is not learnt.

    Where training stalls the gradients cancel, and have become equal: the rates still differ.
    """
    if not seen.steps or len(seen.names) < 2:
        return []
    norms = {t: seen.history[f"grad_norm/{t}"] * np.abs(seen.history[f"weight/{t}"]) for t in seen.names}
    over = lambda a, b: np.asarray(a, float) / np.maximum(np.asarray(b, float), np.finfo(np.float32).tiny)

    def gradients(s: str, t: str) -> float:
        return float(np.quantile(over(norms[s], norms[t]), 0.9))

    def rates(s: str, t: str) -> float:
        return float(min(over(at.rates[s], at.rates[t]) for at in (seen.start, seen.end)))

    measures = {
        "gradients": (
            gradients,
            "|gradient of `{}`| / |gradient of `{}`|, in a tenth of the probe",
            "Wang, Teng, Perdikaris 2021; threshold: the 10² rule",
            'term_weights=pj.lr_annealing("{}")',
        ),
        "rates of convergence": (
            rates,
            "rate of convergence of `{}` / of `{}`, by the tangent kernel",
            "Wang, Yu, Perdikaris 2022; threshold pinnjax",
            "term_weights=pj.ntk()",
        ),
    }
    found = []
    for what, (measure, about, source, rule) in measures.items():
        ratios = {pair: measure(*pair) for pair in itertools.permutations(seen.names, 2)}
        starved = {pair: ratio for pair, ratio in ratios.items() if seen.left(pair[1]) > LEARNT}
        among = starved or ratios
        large, small = max(among, key=among.__getitem__)
        ratio = ratios[large, small]
        words = (
            f"the {what} of `{small}` are {ratio:.3g}x smaller than those of `{large}`, and of its loss "
            f"{_share(seen.left(small))} is left"
        )
        ill = ratio > 100 and bool(starved)
        where, change = about.format(large, small), rule.format(large)
        found.append(Check("loss-balance crisis", where, ratio, 100.0, source, ill, words, change))
    return found


def too_few_points(seen: Evidence) -> list[Check]:
    """Points that were learnt by heart."""
    found = []
    for term, fresh in seen.end.fresh.items():
        own = seen.end.losses[term]
        ratio = fresh / own if own > 0 else np.inf
        ill = ratio > 10 and fresh > LEARNT * max(seen.start.fresh[term], seen.start.losses[term])
        words = (
            f"the loss of `{term}` is {ratio:.3g}x larger at fresh points than at its own: they were learnt by heart"
        )
        change = "sampler=pj.sampling.resample(draw)  # fresh points in every step; or more of them"
        about = f"loss of `{term}` at fresh points / at its own"
        found.append(Check("too few points", about, float(ratio), 10.0, OURS, bool(ill), words, change))
    return found


def causality_violation(seen: Evidence) -> list[Check]:
    """Late times are learnt before early ones."""
    before, now = seen.start.time_losses, seen.end.time_losses
    if before is None or now is None or seen.in_time is None or not seen.steps:
        return []
    share = float(diagnostics.causality_violation(jnp.asarray(before), jnp.asarray(now)))
    first, last = _thirds(now / before)
    ill = share > 0.75 and first > 0.1 and first > 3 * last
    words = (
        f"of {share:.0%} of the pairs of times the later was learnt first: the residual has settled at late times "
        f"({last:.1%} left) while the early ones, which they follow from, are not learnt ({first:.0%} left)"
    )
    epsilon = 20 / (32 * float(np.nanmean(now)))  # the residual that is left switches late times off
    first_time, last_time = (corner[seen.time] for corner in seen.box[seen.in_time])
    change = (
        f'point_weights=pj.causal(["{seen.in_time}"], interval=({first_time:.3g}, {last_time:.3g}), '
        f"epsilon={epsilon:.1g}, time=lambda points: points[:, {seen.time}])"
    )
    source = "Wang, Sankaran, Perdikaris 2024; threshold pinnjax"
    return [Check("causality violation", "pairs of times learnt in reverse", share, 0.75, source, ill, words, change)]


def spectral_bias(seen: Evidence) -> list[Check]:
    """A residual of many waves that does not fall."""
    found = []
    for term, waves in seen.end.waves.items():
        if not seen.steps:
            continue
        most = float(np.max(waves))
        ill = most > 3 and seen.left(term) > STALLED and seen.end.homogeneity[term] > 0.4
        words = (
            f"the residual of `{term}` oscillates {most:.2g} times across the domain, and of its loss "
            f"{_share(seen.left(term))} is left: the network does not learn this frequency"
        )
        lower, upper = _domain(seen, len(waves))
        scale = ", ".join(f"{max(k, 0.5) / side:.2g}" for k, side in zip(waves, upper - lower, strict=True))
        scale = scale if len(waves) == 1 else f"({scale})"
        change = (
            f"inputs = pj.nn.FourierFeatures({len(waves)}, 64, scale={scale}, rngs=rngs)"
            "  # MLP(inputs.features, ..., inputs=inputs)"
        )
        source = "Rahaman et al. 2019; Wang, Wang, Perdikaris 2021; threshold pinnjax"
        about = f"waves of the residual of `{term}` across the domain"
        found.append(Check("spectral bias", about, most, 3.0, source, ill, words, change))
    return found


def drowned_points(seen: Evidence) -> list[Check]:
    """A few points own a loss that does not fall."""
    found = []
    for term, share in seen.end.homogeneity.items():
        if not seen.steps or term not in seen.end.waves:
            continue
        ill = share < 0.4 and seen.left(term) > LEARNT
        words = (
            f"{share:.0%} of the points of `{term}` carry its loss, of which {_share(seen.left(term))} is left: they "
            "are drowned in the mean over the others"
        )
        change = "point_weights=pj.residual_attention()"
        source = "Anagnostopoulos et al. 2024; threshold pinnjax"
        about = f"share of the points that carry the loss of `{term}`"
        found.append(Check("drowned points", about, share, 0.4, source, ill, words, change, below=True))
    return found


def conflicting_terms(seen: Evidence) -> list[Check]:
    """Two terms that undo each other's steps while one of them still has to fall."""
    if not seen.steps:
        return []
    found = []
    for s, t in itertools.combinations(sorted(seen.names), 2):
        cosine = float(np.median(seen.late(f"cosine/{s}|{t}")))
        ill = cosine < -0.5 and max(seen.left(s), seen.left(t)) > UNFINISHED
        words = (
            f"the gradients of `{s}` and `{t}` point against each other (cosine {cosine:.2f}), and training stalls "
            f"with {_share(seen.left(s))} and {_share(seen.left(t))} of their losses left"
        )
        change = "term_weights=pj.config()  # and look at their signs: can the two be satisfied together?"
        source = "Yu et al. 2020; Liu, Chu, Thuerey 2025; threshold pinnjax"
        found.append(
            Check("conflicting terms", f"cosine of `{s}` and `{t}`", cosine, -0.5, source, ill, words, change, True)
        )
    return found


def no_progress(seen: Evidence) -> list[Check]:
    """A term that does not fall."""
    found = []
    for term in seen.names if seen.steps else ():
        left = seen.left(term)
        words = f"of the loss of `{term}` {_share(left)} is left after {seen.steps} steps, and no rule above says why"
        change = "more steps, or another learning rate"
        about = f"loss of `{term}` left"
        found.append(Check("no progress", about, left, 0.7, OURS, left > 0.7, words, change))
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


def _share(left: float) -> str:
    """What is left of a loss, in words."""
    return f"{left:.2g} times the initial one" if left > 1.05 else f"{left:.2g}" if left < 0.01 else f"{left:.0%}"


def _domain(seen: Evidence, dimension: int) -> tuple[np.ndarray, np.ndarray]:
    """Corners of the box of all points of so many coordinates."""
    lower, upper = zip(*(corners for corners in seen.box.values() if len(corners[0]) == dimension), strict=True)
    return np.min(lower, axis=0), np.max(upper, axis=0)


def _standardized(seen: Evidence) -> str:
    """Inputs of unit size where the coordinates are large, smaller kernels where they are not."""
    lower, upper = _domain(seen, len(next(iter(seen.box.values()))[0]))
    if max(np.max(np.abs(lower)), np.max(np.abs(upper))) <= 3:
        return "smaller initial kernels: their products are beyond the activation's range"
    numbers = lambda values: "(" + ", ".join(f"{v:.4g}" for v in values) + ("," if len(values) == 1 else "") + ")"
    return f"inputs=pj.nn.Standardize.box({numbers(lower)}, {numbers(upper)})"


def _thirds(left: np.ndarray) -> tuple[float, float]:
    """What is left of the loss in the first third of time, and in the last."""
    third = max(1, len(left) // 3)
    return float(np.nanmean(left[:third])), float(np.nanmean(left[-third:]))
