"""A race: recipes side by side on one problem, each over several seeds in one program."""

import dataclasses
import functools
import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import tqdm.auto
from jaxtyping import Array, Float, Int

from pinnjax.problems import EVALUATIONS, Problem, Recipe, phases
from pinnjax.terms import evaluation, losses, point_gradients
from pinnjax.train.phases import batch_of, following
from pinnjax.train.state import TrainState, TrainStep

PyTree = Any


@dataclasses.dataclass(frozen=True)
class Outcome:
    """What one recipe did.

    Attributes:
        seeds: `(K,)`.
        history: `{name: (E, K)}` at E moments of the run, with the step's metrics and what the problem's `evaluate`
            finds: `relative_l2`, where there is a reference.
        steps: `(E,)`, the moments.
        seconds: wall time of all seeds together, compilation included.
        train: the train step, whose `model(state)` is the field of a state; of the last phase.
        states: the last states, stacked over the seeds.
        compared: the name in the history by which runs are compared: see `Problem.compared`.
        points: `{term: (K, n, d)}`, where they stay and point weights were raced; else empty.
        point_weights: `{term: (K, n)}` at the end, at those points.
    """

    seeds: Int[np.ndarray, " K"]
    history: dict[str, Float[np.ndarray, "E K"]]
    steps: Int[np.ndarray, " E"]
    seconds: float
    train: TrainStep
    states: TrainState
    compared: str = "relative_l2"
    points: dict[str, np.ndarray] = dataclasses.field(default_factory=dict)
    point_weights: dict[str, Float[np.ndarray, "K n"]] = dataclasses.field(default_factory=dict)

    @property
    def errors(self) -> Float[np.ndarray, " K"]:
        """Relative L2 errors at the end, one a seed; NaN for a seed whose parameters are not finite."""
        return self.history["relative_l2"][-1]

    @property
    def final(self) -> Float[np.ndarray, " K"]:
        """The errors; where there is no reference, the sums of losses that are compared in their place."""
        return self.history[self.compared][-1]


def race(
    problem: Problem,
    recipes: Mapping[str, Recipe],
    *,
    seeds: Sequence[int] = (0,),
    steps: int | None = None,
    dtype: Any = None,
    seconds: float | None = None,
    progress: bool | None = None,
    after: Callable[[dict[str, Outcome]], None] = lambda outcomes: None,
) -> dict[str, Outcome]:
    """Train every recipe over all seeds; the seeds of a recipe are one program, by `jax.vmap`.

    In phases after the first one, and where a recipe has a sampler, they take turns in that program: under `jax.vmap` a
    line search goes on until that of the slowest seed is done, and both branches of a `cond` run.

    A seed gives the network and the points that it gives in `pinnjax.problems.solve`. Ctrl-C ends the race and returns
    the outcomes that are done.

    Args:
        problem: e.g. `pinnjax.problems.harmonic`.
        recipes: `{label: recipe}`.
        seeds: of networks and points.
        steps: number of steps, of the last phase; each recipe's own when None.
        dtype: `jnp.float32`, or `jnp.float64` when `jax_enable_x64` is set; None for each recipe's own.
        seconds: ends a recipe after so much wall time, compilation included.
        progress: show a progress bar; None shows it on terminals.
        after: called with the outcomes so far after each of them.

    Returns:
        `{label: outcome}`.

    Example:
        >>> from pinnjax.cli.race import race
        >>> from pinnjax.problems import harmonic
        >>> outcomes = race(harmonic, {"plain": harmonic.recipes["plain"]}, seeds=range(3), steps=20, progress=False)
        >>> print(outcomes["plain"].errors.shape, outcomes["plain"].history["weight/ic"].shape)
        (3,) (20, 3)
    """
    outcomes: dict[str, Outcome] = {}
    counts = lambda recipe: [phase.steps for phase in recipe.phases[:-1]] + [recipe.steps if steps is None else steps]
    total = sum(sum(counts(recipe)) for recipe in recipes.values())
    with tqdm.auto.tqdm(total=total, unit="step", disable=None if progress is None else not progress) as bar:
        for label, recipe in recipes.items():
            bar.set_description(label)
            try:
                outcomes[label] = _outcome(problem, recipe, np.array(seeds), steps, dtype, seconds, bar)
            except KeyboardInterrupt:
                warnings.warn(
                    f"race: interrupted in {label!r}; {len(outcomes)} of {len(recipes)} are done", stacklevel=2
                )
                break
            after(outcomes)
    return outcomes


def _outcome(
    problem: Problem,
    recipe: Recipe,
    seeds: np.ndarray,
    steps: int | None,
    dtype: Any,
    limit: float | None,
    bar: Any,
) -> Outcome:
    started = time.perf_counter()
    found, start = phases(problem, recipe, steps, dtype)
    keys = jnp.stack([jax.random.key(int(seed)) for seed in seeds])
    states, batches = jax.jit(jax.vmap(start))(keys)
    evaluate = problem.evaluate  # one object: a method is a new one each time, and would compile again
    steps_per_call = max(1, sum(phase.steps for phase in found) // EVALUATIONS)
    moments: list[int] = []
    pieces: list[dict[str, np.ndarray]] = []
    late = lambda: limit is not None and time.perf_counter() - started >= limit
    phase, points = found[0], None
    for i, (one, phase) in enumerate(zip(recipe.phases, found, strict=True)):
        if i:
            move = functools.partial(following, found[i - 1].train)
            states = jax.jit(jax.vmap(lambda s, b, phase=phase, move=move: move(s, phase, b)))(states, batches)
        points, done = batch_of(phase.train, batches, phase.dtype), 0
        together = i == 0 and one.sampler is None
        while done < phase.steps and not (done and late()):
            length = min(steps_per_call, phase.steps - done)
            states, metrics = jax.block_until_ready(_run(phase.train, evaluate, length, together, states, points))
            done += length
            moments.append(moments[-1] + length if moments else length)
            pieces.append(jax.device_get(metrics))
            bar.update(length)
        if late():
            break
    history = _joined(pieces, len(seeds))
    seconds = time.perf_counter() - started
    at, weights = {}, {}
    if one.point_weights is not None and points is not None and set(points) == set(problem.terms):
        at = jax.device_get(points)
        weights = jax.device_get(jax.jit(jax.vmap(functools.partial(_point_weights, problem, one)))(states, points))
    return Outcome(seeds, history, np.array(moments), seconds, phase.train, states, problem.compared, at, weights)


def _joined(pieces: Sequence[Mapping[str, np.ndarray]], seeds: int) -> dict[str, np.ndarray]:
    """One history; NaN where a phase does not measure something."""
    names = dict.fromkeys(name for piece in pieces for name in piece)
    missing = np.full(seeds, np.nan)
    return {name: np.stack([piece.get(name, missing) for piece in pieces]) for name in names}


def _point_weights(problem: Problem, recipe: Recipe, state: TrainState, batch: dict[str, PyTree]) -> dict[str, Array]:
    """The point weights that the next step would apply."""
    residuals = evaluation.residuals(problem.terms, state.definition, state.constants)(state.params, batch)
    norms = point_gradients.point_grad_norms(problem.terms, state.definition, state.constants)
    rule = optax.with_extra_args_support(recipe.point_weights)
    ones = losses.ones(residuals)
    extra = {"points": batch, "step": state.step, "point_grad_norms": lambda: norms(state.params, batch)}
    return rule.update(ones, state.point_weights, None, residuals=residuals, **extra)[0]


@functools.partial(jax.jit, static_argnums=(0, 1, 2, 3))
def _run(
    train: TrainStep, evaluate: Callable[[Any], PyTree], length: int, together: bool, states: PyTree, batches: PyTree
) -> tuple[PyTree, PyTree]:
    """`length` steps of all seeds, and the last step's metrics with the errors."""

    def one(state: PyTree, batch: PyTree) -> tuple[PyTree, PyTree]:
        state, metrics = jax.lax.scan(lambda s, _: train.update(s, batch), state, None, length)
        return state, jax.tree.map(lambda m: m[-1], metrics) | evaluate(train.model(state))

    if together:
        return jax.vmap(one)(states, batches)
    return jax.lax.map(lambda both: one(*both), (states, batches))
