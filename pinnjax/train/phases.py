"""Phases of a run: what one trains with, and what goes on from one to the next."""

import dataclasses
from collections.abc import Callable, Collection, Mapping
from typing import Any

import jax
import jax.numpy as jnp

from pinnjax import checks, optimizers
from pinnjax.terms import bridge
from pinnjax.train import _carried, _evaluation, _points
from pinnjax.train.state import Parts, TrainState, TrainStep

PyTree = Any
KEPT = {"point_weights", "term_weights", "optimizer"}


@dataclasses.dataclass(frozen=True)
class Phase:
    """A part of a run with a train step of its own; `pinnjax.fit` takes several.

    Attributes:
        train: the pair of `pinnjax.train_step`. Its terms may be others than those of the phase before.
        steps: number of steps.
        until: ends this phase early, as that of `fit` ends a run: an error to reach, or a function of the metrics.
        seconds: ends it after the call in which so many seconds of wall time since its beginning have passed,
            compilation included; a resumed run counts those of its own process.
        dtype: of parameters, constants and the batch from here on, e.g. `jnp.float64`, which needs
            `jax_enable_x64`; None keeps what it was. Points of a sampler have the dtype that the sampler gives them.
        model: `model(trained, key) -> model`, what the trained model of the phase before becomes: a wider network, or
            a correction to a frozen one. `trained` is an `nnx.Module` or a pair `(apply, params)`, as it was given to
            `init`, and so is what is returned, whose parameters are trained from here on.
        keeps: what goes on from the phase before, where it can: "point_weights" and "term_weights", the memory of rules
            that are the same, and "optimizer", its moments, which needs an optimiser of the same kind; those of
            parameters that a larger model adds begin at zero (see `pinnjax.optimizers.grown`). The others start anew.
        summary: a few words for the progress bar.

    Example:
        >>> import jax.numpy as jnp, optax, pinnjax as pj
        >>> terms, batch = {"data": lambda u, x: u(x) - 6.0}, {"data": jnp.array([[2.0]])}
        >>> coarse, fine = pj.train_step(terms, optax.adam(0.1)), pj.train_step(terms, optax.sgd(0.1))
        >>> state = coarse.init((lambda a, x: a * x[0], jnp.float32(0.0)), batch)
        >>> phases = [Phase(coarse, 20, summary="Adam"), Phase(fine, 30)]
        >>> state, history = pj.fit(phases, state, batch)
        >>> print(f"{state.params:.4f}", state.step, (history["phase"] == 1).sum())
        3.0000 50 30
    """

    train: TrainStep
    steps: int
    _: dataclasses.KW_ONLY
    until: float | Callable[[Mapping[str, Any]], bool] | None = None
    seconds: float | None = None
    dtype: Any = None
    model: Callable[[Any, Any], Any] | None = None
    keeps: Collection[str] = ("point_weights", "term_weights")
    summary: str = ""

    def __post_init__(self) -> None:
        """Say at once what cannot be."""
        if not isinstance(self.train, TrainStep) or self.train.parts is None:
            raise TypeError(f"Phase: train is {checks.described(self.train)}; expected a pinnjax.train_step")
        checks.count("Phase: steps", self.steps)
        _evaluation.check_seconds("Phase", self.seconds)
        if self.dtype is not None:
            checks.floating("Phase: dtype", self.dtype)
        if self.model is not None and not callable(self.model):
            raise TypeError(f"Phase: model is {checks.described(self.model)}; expected a function (trained, key)")
        if isinstance(self.keeps, str) or not set(self.keeps) <= KEPT:
            raise ValueError(f"Phase: keeps is {self.keeps!r}; expected a tuple of some of {sorted(KEPT)}")


def following(before: TrainStep, state: TrainState, phase: Phase, batch: Mapping[str, PyTree] | None) -> TrainState:
    """The state in which a phase begins, from the one in which the phase before ended; pure, also under `jax.vmap`.

    * The model goes on, in the dtype of the phase, or becomes what the phase's `model` makes of it.
    * The counts go on: `step`, `skipped` and, by name, `nonfinite`.
    * The optimiser starts anew, unless the phase keeps it.
    * A sampler goes on, with its points, where both steps were given the same one, the object itself. Another one
      starts anew, since it may draw from another domain.
    * A rule goes on with its memory where its name, and the names and shapes of what it remembers, are the same;
      `pinnjax.term_weights.held(rule)` takes the memory of the rule. Others start anew, and so does what
      the phase does not keep. Numbers of `optax.inject_hyperparams` are those of the new step.
    * What a point rule remembers of a point stays with it: a place whose point is another, since a sampler came, went
      or started anew, starts anew.

    Args:
        before: the train step of the phase before.
        state: in which it ended.
        phase: the next one.
        batch: `{term: points}` of all phases.

    Raises:
        ValueError: when random numbers are needed and the state has no key, or weights are to be held that the phase
            before does not have.
    """
    old, new = parts(before), parts(phase.train)
    same_sampler = new.sampler is not None and new.sampler is old.sampler
    key, for_sampler, for_model = (None,) * 3 if state.key is None else jax.random.split(state.key, 3)
    needs = {"a sampler": new.sampler is not None and not same_sampler, "model=": phase.model is not None}
    if key is None and any(needs.values()):
        raise ValueError(
            f"the phase has {' and '.join(name for name, true in needs.items() if true)}, which draws random numbers, "
            "but the state has no key; expected a state from train.init(model, batch, key=key)"
        )

    model = _model(state.definition, state.params, state.constants)
    if phase.model is not None:
        model = phase.model(model, for_model)
    definition, params, constants = bridge.split(model)
    model = _model(definition, cast(params, phase.dtype), cast(constants, phase.dtype))
    given = batch_of(phase.train, batch, phase.dtype)
    # The sampler that goes on needs no key: its first state only says what shapes there are.
    fresh = phase.train.init(model, given, key=jax.random.key(0) if same_sampler else for_sampler)

    sampler = state.sampler if same_sampler else fresh.sampler
    kept: dict[str, PyTree] = {}
    if "point_weights" in phase.keeps:
        earlier, later = _pool(old, batch_of(before, batch, None), state.sampler), _pool(new, given, sampler)
        kept["point_weights"] = _carried.point_weights(old, new, state.point_weights, fresh, earlier, later)
    if "term_weights" in phase.keeps:
        kept["term_weights"] = _carried.term_weights(old, new, state.term_weights, fresh.term_weights)
    elif _carried.holds(new.term_weights):
        raise ValueError("Phase: term_weights are held, but keeps has no 'term_weights'; expected it there")
    if "optimizer" in phase.keeps:
        kept["optimizer"] = optimizers.grown(new.optimizer, state.optimizer, state.params, fresh.params)
    found = dataclasses.replace(
        fresh,
        **kept,
        sampler=sampler,
        step=state.step,
        skipped=state.skipped,
        nonfinite={name: state.nonfinite.get(name, zero) for name, zero in fresh.nonfinite.items()},
        key=key,
    )
    return jax.tree.map(jnp.copy, found)  # every leaf a buffer of its own, as in `init`


def parts(train: TrainStep) -> Parts:
    """What a step of `pinnjax.train_step` is made of."""
    if train.parts is None:
        raise TypeError("the step is a pair of one's own; expected a pinnjax.train_step")
    return train.parts


def batch_of(train: TrainStep, batch: Mapping[str, PyTree] | None, dtype: Any) -> dict[str, PyTree] | None:
    """The points of a batch for those terms of a step that no sampler draws, in a dtype unless it is None.

    Example:
        >>> import jax.numpy as jnp, optax, pinnjax as pj
        >>> sampler = pj.sampling.resample(lambda key: {"pde": pj.sampling.box(key, [0.0], [1.0], 5)})
        >>> train = pj.train_step({"pde": jnp.sin, "bc": jnp.cos}, optax.sgd(1.0), sampler=sampler)
        >>> batch_of(train, {"pde": jnp.ones((3, 1)), "bc": jnp.ones((1, 1))}, None)
        {'bc': Array([[1.]], dtype=float32)}
    """
    terms, sampler = parts(train).terms, parts(train).sampler
    given = _points.together(batch, {})
    drawn = (
        set() if sampler is None else set(jax.eval_shape(lambda k: sampler.pool(sampler.init(k)), jax.random.key(0)))
    )
    found = {name: cast(points, dtype) for name, points in given.items() if name in terms and name not in drawn}
    return found or None


def cast(tree: PyTree, dtype: Any) -> PyTree:
    """The floating leaves of a tree in a dtype; as they are when it is None."""
    floating = lambda leaf: jnp.issubdtype(jnp.result_type(leaf), jnp.floating)
    return tree if dtype is None else jax.tree.map(lambda x: jnp.asarray(x, dtype) if floating(x) else x, tree)


def _model(definition: Any, params: PyTree, constants: PyTree) -> Any:
    """A model as it was given to `train.init`: a module, or the pair."""
    field = bridge.field(definition, params, constants)
    return field if bridge.is_module(field) else (definition, params)


def _pool(made: Parts, batch: Mapping[str, PyTree] | None, sampler_state: PyTree) -> dict[str, PyTree]:
    return _points.together(batch, {} if made.sampler is None else made.sampler.pool(sampler_state))
