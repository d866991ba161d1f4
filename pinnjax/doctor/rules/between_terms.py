"""Rules of terms that stand in each other's way: one owns the gradient, or two undo each other's steps."""

import itertools

import numpy as np

from pinnjax.doctor import wording
from pinnjax.doctor.diagnosis import Check
from pinnjax.doctor.evidence import SHORT, Evidence
from pinnjax.doctor.rules.thresholds import CREEPING, LEARNT, STILL, TINY, UNFINISHED


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


def conflicting_terms(evidence: Evidence) -> list[Check]:
    """Two terms that undo each other's steps, so that their losses fall no more while one of them still has to.

    Gradients that oppose each other are no harm in themselves: terms that fall together have them most of the time.
    """
    if evidence.steps < SHORT:
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
