"""How the doctor puts things: shares of a loss in words, and changes as code that can be pasted."""

import json
from typing import Any

import numpy as np

from pinnjax.doctor.evidence import Evidence


def share(left: float) -> str:
    """What is left of a loss, in words."""
    return f"{left:.2g} times the initial one" if left > 1.05 else f"{left:.2g}" if left < 0.01 else f"{left:.0%}"


def domain(evidence: Evidence, dimension: int) -> tuple[np.ndarray, np.ndarray]:
    """Corners of the box of all points of so many coordinates."""
    lower, upper = zip(*(corners for corners in evidence.box.values() if len(corners[0]) == dimension), strict=True)
    return np.min(lower, axis=0), np.max(upper, axis=0)


def standardized(evidence: Evidence) -> str:
    """Inputs of unit size where the coordinates are large, smaller kernels where they are not."""
    lower, upper = domain(evidence, len(next(iter(evidence.box.values()))[0]))
    if max(np.max(np.abs(lower)), np.max(np.abs(upper))) <= 3:
        return "# smaller initial kernels: their products are beyond the activation's range"
    flat = lower == upper  # all points share this coordinate; the map needs a side
    return f"inputs=pj.nn.Standardize.box({corner(lower - flat)}, {corner(upper + flat)})"


def resampled(evidence: Evidence, term: str) -> str:
    """Fresh points in every step, in the box of the term's own."""
    if evidence.owner(term) not in evidence.box or evidence.sampled:
        return f"# more points of `{term}`, or a sampler that draws fresh ones: sampler=pj.sampling.resample(draw)"
    owner = evidence.owner(term)
    lower, upper = map(corner, evidence.box[owner])
    draw = f"lambda key: {{{quoted(owner)}: pj.sampling.box(key, {lower}, {upper}, {evidence.count[owner]})}}"
    return f"sampler=pj.sampling.resample({draw})  # of a box; or more points"


def quoted(term: str) -> str:
    """A term's name as code."""
    return json.dumps(term, ensure_ascii=False)


def text(value: Any) -> str:
    """All digits of a number as code; rounding would cut points off."""
    return np.format_float_positional(value, trim="-")


def corner(values: np.ndarray) -> str:
    """A point as code, a tuple."""
    return "(" + ", ".join(map(text, values)) + ("," if len(values) == 1 else "") + ")"
