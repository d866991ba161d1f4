"""The runs of the study of phases with one seed, the loss around their ends, and what they say of the paper."""

import dataclasses
from collections.abc import Iterable

import jax
import jax.flatten_util
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from pinnjax import diagnostics
from pinnjax.cli.pages import landscape
from pinnjax.cli.pages.landscape import Slice, Trajectory, adam_scale
from pinnjax.cli.reproduce import phases as study
from pinnjax.cli.reproduce.study import Result, Run
from pinnjax.cli.watching import watched
from pinnjax.diagnostics import Phases
from pinnjax.problems import prepare
from pinnjax.train.monitor import StepInfo


@dataclasses.dataclass(frozen=True)
class Watched:
    """A run of the study with the first seed, and the loss around its end.

    Attributes:
        result: as the study has it, of one seed.
        slices: in the coordinates of gradient descent, and in Adam's.
        trajectory: the way to there.
    """

    result: Result
    slices: tuple[Slice, Slice]
    trajectory: Trajectory


def runs(
    moments: int = study.MOMENTS,
    steps: int = study.STEPS,
    problems: Iterable[str] = tuple(study.SETUPS),
    share: int = 1,
) -> dict[str, Watched]:
    """The study's runs on these problems with the first seed, looked at so many times, with a share of the points."""
    chosen = [f"{problem}, {rule}" for problem in problems for rule in study.RULES]
    return {label: _watched(_with_fewer(study.STUDY.runs[label], share), moments, steps) for label in chosen}


def _with_fewer(run: Run, share: int) -> Run:
    points = {term: n // share for term, n in (run.recipe.points or {}).items()}
    return dataclasses.replace(run, recipe=dataclasses.replace(run.recipe, points=points))


def _watched(run: Run, moments: int, steps: int) -> Watched:
    def measure(info: StepInfo) -> dict[str, Array]:
        params = jax.flatten_util.ravel_pytree(info.params)[0]
        return {**study.measure(info), **run.problem.evaluate(info.field()), "params": params}

    key, every = jax.random.key(0), steps // moments
    history, state = jax.jit(watched(run.problem, run.recipe, measure, every=every, moments=moments))(key)
    seen = {name: np.asarray(values)[:, None] for name, values in history.items()}
    batch = prepare(run.problem, run.recipe, steps)[1](key)[1] or {}
    weights = {t: float(seen[f"weight/{t}"][-1, 0]) for t in run.problem.terms}
    loss = landscape.weighted_loss(run.problem.terms, state, batch, weights)
    path = seen.pop("params")[:, 0]
    end = jnp.asarray(path[-1])
    slices = (landscape.around(loss, end, jnp.ones_like(end)), landscape.around(loss, end, adam_scale(state)))
    return Watched(Result(seen, every * np.arange(moments + 1), 0.0, {}), slices, landscape.trajectory(loss, path))


def _rise(regime: Phases) -> str:
    return f"at step {regime.total_diffusion:g}, by a factor of {regime.rise:.2g}"


def _lower(result: Result) -> str:
    """How far it comes where it does not come to O(1)."""
    lower = diagnostics.phases(result.steps, result.history["snr"][:, 0], level=study.LEVEL / 3)
    return "it does not" if lower.total_diffusion is None else f"not to O(1), but to a third of that {_rise(lower)}"


def claims(found: dict[str, Watched]) -> dict[str, tuple[bool, str]]:
    """What the paper says, and what these runs say."""
    said: dict[str, tuple[bool, str]] = {}
    for label, run in found.items():
        result, (plain, scaled) = run.result, run.slices
        regime = study.regimes(result)[0]
        first, snr = result.history["snr"][0, 0], study.smooth(result.history["snr"])[:, 0]
        diffusion = "never" if regime.diffusion is None else f"at step {regime.diffusion:g}"
        said[f"{label}: parts of the batch agree at first, and disagree later"] = (
            bool(first > study.LEVEL and regime.diffusion is not None),
            f"SNR {first:.2g} at first, smoothed {snr.min():.2g} at least; below {study.LEVEL:g} {diffusion}",
        )
        around = {name: float(values[0]) for name, values in study.around_total_diffusion(result).items()}
        onset, error = regime.total_diffusion, result.history["relative_l2"][:, 0]
        said[f"{label}: then the SNR rises abruptly to O(1), and stays for a while: total diffusion"] = (
            onset is not None,
            _rise(regime) if onset is not None else _lower(result),
        )
        if onset is not None:
            there = error[np.searchsorted(result.steps, onset)]
            said[f"{label}: most of the error's fall comes after that"] = (
                around["share"] >= study.MOST,
                f"{error[0]:.2g} at first, {there:.2g} at that step, {error[-1]:.2g} at the end",
            )
            said[f"{label}: and the residuals are more even after it"] = (
                around["even_after"] > around["even_before"],
                f"homogeneity {around['even_before']:.2g} before, {around['even_after']:.2g} after",
            )
        layers = result.history["saturation"][-1, 0]
        said[f"{label}: the deepest layer loses less to saturation than the middle ones"] = (
            bool(layers[-1] < 0.5 * np.max(layers)),
            "from the first: " + ", ".join(f"{share:.1%}" for share in layers),
        )
        before, after = plain.steepest / plain.mean, scaled.steepest / scaled.mean
        said[f"{label}: Adam's scaling makes the landscape rounder"] = (
            bool(abs(after) < abs(before)),
            f"steepest over mean curvature {before:.3g}, scaled {after:.3g}",
        )
    return said
