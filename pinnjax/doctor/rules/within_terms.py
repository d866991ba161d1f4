"""Rules of one term and its points: which of them, which times and which waves are not learnt."""

import jax.numpy as jnp
import numpy as np

from pinnjax import diagnostics
from pinnjax.doctor import wording
from pinnjax.doctor.diagnosis import Check
from pinnjax.doctor.evidence import SHORT, Evidence
from pinnjax.doctor.rules.thresholds import CREEPING, EVEN, LEARNT, OURS, STILL, UNLEARNT


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


def no_progress(evidence: Evidence) -> list[Check]:
    """A term that has not fallen and does not."""
    found = []
    for term in evidence.names if evidence.steps >= SHORT else ():
        left = evidence.left(term)
        message = (
            f"of the loss of `{term}` {wording.share(left)} is left after {evidence.steps} steps, it falls no more, "
            "and no rule above says why"
        )
        remedy = "# more steps, or another learning rate"
        about = f"loss of `{term}` left"
        found.append(Check("no progress", about, left, 0.7, OURS, evidence.falls(term) > STILL, message, remedy))
    return found


def _thirds(values: np.ndarray) -> tuple[float, float]:
    """Means over the first third of time and the last; slices without points or without a loss count for nothing."""
    third = max(1, len(values) // 3)
    means = []
    for part in (values[:third], values[-third:]):
        known = part[np.isfinite(part)]
        means.append(float(np.mean(known)) if len(known) else 0.0)
    return means[0], means[1]
