"""One train step, residuals to updates, as one pure function of one state.

params, batch
  -> residuals        {term: (n,)}
  -> point weights    {term: (n,)}          point space
  -> term gradients   {term: like params}   one pullback a term
  -> balanced terms   {term: like params}   term space
  -> gradient         like params           the sum over terms
  -> updates          like params           parameter space
"""

import dataclasses
import functools
from collections.abc import Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array

from pinnjax import checks
from pinnjax.point_weights.per_point_memory import moved as moved_points
from pinnjax.point_weights.per_point_memory import remembered, travelling
from pinnjax.sampling.sampler import Draw, Sampler
from pinnjax.term_weights import _rule, _wrappers
from pinnjax.terms import bridge, evaluation, losses, names, point_gradients
from pinnjax.train import frozen, guard, monitor, spaces
from pinnjax.train.state import Metrics, TrainState, TrainStep

PyTree = Any


def train_step(
    terms: Mapping[str, Any],
    optimizer: optax.GradientTransformation,
    *,
    point_weights: optax.GradientTransformation | None = None,
    term_weights: optax.GradientTransformation | None = None,
    sampler: Sampler | None = None,
    chunk: int | None = None,
    monitors: Sequence[monitor.Monitor] = (),
) -> TrainStep:
    """Compose residuals, balancers of the three spaces and a sampler into one compiled train step.

    Args:
        terms: `{name: residual function}`; see `pinnjax.residuals`.
        optimizer: parameter space, any optax optimiser. It is offered `value`, `grad`, `value_fn` and `residual_fn` of
            the weighted loss with this step's weights frozen, as `optax.lbfgs` needs them; `grad` is the gradient of
            `value_fn`, so an optimiser that calls one of the functions needs term weights that only scale gradients.
        point_weights: point space, e.g. `pinnjax.point_weights.self_adaptive(1e-2)`; ones when None.
        term_weights: term space, e.g. `pinnjax.term_weights.lr_annealing("pde")`; ones when None.
        sampler: draws the points of some terms, or all, inside the step; the others come with the batch.
        chunk: points in memory at once; None for all.
        monitors: measurements that join the metrics, e.g. `pinnjax.monitors.signal_to_noise(every=100)`.

    Returns:
        `(init, update)`:

        * `init(model, batch=None, *, key=None) -> state`; `key` is needed where there is a sampler.
        * `update(state, batch=None) -> (state, metrics)`, compiled. `metrics` is a flat dict of arrays: the total
          weighted `loss`; for each term `loss/t` = mean |r|², `weight/t` = λ_t, what the balancers made of g_t over
          g_t, `weighted_loss/t` = λ_t mean w |r|², `grad_norm/t` = ‖g_t‖ before term weights; and counters: `skipped`,
          `nonfinite/t`, and `held/t` where a rule holds weights.

        A step with a loss, a gradient or an update that is not finite is not taken: only `step`, the sampler and the
        counters move on. Nor is one of an optimiser that called `value_fn`, as a line search does, when it raises that
        value; the optimiser then starts anew from where it is.

    Raises:
        TypeError, ValueError: when the terms, the model or the points do not fit (see `pinnjax.checks`), a transform
            stands in the wrong space, or a monitor gives a metric a name that is taken.

    Example:
        >>> import jax.numpy as jnp, optax, pinnjax as pj
        >>> train = pj.train_step({"data": lambda u, x: u(x) - 1.0}, optax.sgd(0.1))
        >>> batch = {"data": jnp.array([[1.0], [3.0]])}
        >>> state = train.init((lambda a, x: a * x[0], jnp.float32(2.0)), batch)
        >>> state, metrics = train.update(state, batch)
        >>> print(metrics["loss/data"], state.params)  # 2 - 0.1 · 16
        13.0 0.39999998
    """
    checks.terms(terms)
    checks.chunk(chunk)
    monitor.check(monitors)
    given = {"optimizer": optimizer, "point_weights": point_weights, "term_weights": term_weights}
    for what, transform in given.items():
        if transform is not None or what == "optimizer":
            spaces.check(what, transform)
    if sampler is not None and not isinstance(sampler, Sampler):
        raise TypeError(f"sampler is a {type(sampler).__name__}; expected a pinnjax.sampling.Sampler")
    weigher = optax.identity() if point_weights is None else point_weights
    points_of = optax.with_extra_args_support(weigher if sampler is None else travelling(weigher))
    balancer = optax.with_extra_args_support(optax.identity() if term_weights is None else term_weights)
    inner = optax.with_extra_args_support(optimizer)

    def init(model: Any, batch: Mapping[str, PyTree] | None = None, *, key: Any = None) -> TrainState:
        definition, params, constants = bridge.split(model)
        if sampler is not None:
            checks.key("train.init: key", key)
        sampler_state = None if sampler is None else sampler.init(key)
        points = _together(batch, {} if sampler is None else sampler.pool(sampler_state))
        checks.batch(terms, points)
        checks.finite_points(points)
        residuals = jax.jit(evaluation.residuals(terms, definition, constants, chunk=chunk))(params, points)
        point_state = points_of.init(residuals)
        short_lived = set() if sampler is None else sampler.short_lived(sampler_state)
        for residual in remembered(point_state, residuals):
            if names.term_of(residual, terms) in short_lived:
                raise ValueError(
                    f"point_weights keep a value for each point of {residual!r}, but the sampler replaces its points "
                    "in every step; expected a sampler whose points stay, points in the batch, or a rule without "
                    "memory or with terms=[...] that leaves it out"
                )
        term_params = dict.fromkeys(residuals, params)
        at_points = point_gradients.point_grad_norms(terms, definition, constants, chunk=chunk)
        everywhere = {
            "residuals": residuals,
            "points": points,
            "sampling_weights": losses.ones(residuals),
            "step": jnp.zeros((), jnp.int32),
            "point_grad_norms": lambda: at_points(params, points),
        }
        if point_weights is not None:
            spaces.check_weights(weigher, residuals, everywhere)
        if term_weights is not None:
            losses_ = {name: losses.loss(r) for name, r in residuals.items()}
            extra = everywhere | {"losses": losses_, "point_weights": everywhere["sampling_weights"]}
            spaces.check_signs(balancer, term_params, extra)
        zero = jnp.zeros((), jnp.int32)
        state = TrainState(
            definition=definition,
            params=params,
            constants=constants,
            point_weights=point_state,
            term_weights=balancer.init(term_params),
            optimizer=inner.init(params),
            sampler=sampler_state,
            step=zero,
            skipped=zero,
            nonfinite=dict.fromkeys(residuals, zero),
        )
        # Every leaf a buffer of its own, none of them the model's: the state can be donated.
        return jax.tree.map(jnp.copy, state)

    @jax.jit
    def update(state: TrainState, batch: Mapping[str, PyTree] | None = None) -> tuple[TrainState, Metrics]:
        params = state.params
        evaluate = evaluation.residuals(terms, state.definition, state.constants, chunk=chunk)
        drawn, sampler_state = Draw({}), state.sampler
        if sampler is not None:
            some = lambda asked: _residuals_of(terms, asked, state, chunk)
            drawn, sampler_state = sampler.update(state.sampler, residuals=some)
        points = _together(batch, drawn.points)
        index, origin = _of_points(terms, drawn.index), _of_points(terms, drawn.origin)
        before = state.point_weights if sampler is None else moved_points(weigher, state.point_weights, origin, terms)

        residuals, pull = evaluation.pullback(terms, state.definition, state.constants, chunk=chunk)(params, points)
        guard.check_sizes(before, residuals, terms, index)
        counts = _counts(terms, residuals, drawn)
        frozen_residuals = jax.lax.stop_gradient(residuals)
        at_points = point_gradients.point_grad_norms(terms, state.definition, state.constants, chunk=chunk)
        offered = {
            "residuals": frozen_residuals,
            "points": points,
            "sampling_weights": counts,
            "step": state.step,
            "point_grad_norms": lambda: at_points(params, points),
        }
        places = {} if sampler is None else {"index": index}
        weights, point_state = points_of.update(counts, before, None, **places, **offered)
        term_losses = {name: losses.loss(r, weights[name]) for name, r in residuals.items()}
        term_grads = pull({name: losses.loss_cotangent(r, weights[name]) for name, r in residuals.items()})
        term_params = dict.fromkeys(term_grads, params)
        for_terms = offered | {"losses": term_losses, "point_weights": weights}
        balanced, term_state = balancer.update(term_grads, state.term_weights, term_params, **for_terms)
        grad = losses.total(balanced)

        lambdas, exact = _rule.current(term_state, residuals), jnp.array(True)
        if spaces.scales(balancer):
            lambdas, exact = frozen.applied(term_grads, balanced, lambdas)
        value = optax.tree.sum({name: lambdas[name] * term_losses[name] for name in residuals})
        at = lambda p: evaluate(p, points)
        asked: set[str] = set()  # what the optimiser called, known when it is traced

        def note(what: str) -> None:
            if not asked:
                spaces.check_directions(balancer, term_params, for_terms, inner)
            asked.add(what)

        def value_fn(p: PyTree, residual_fn: Any = None) -> Array:
            del residual_fn  # the line searches of optax hand on every extra arg
            note("value_fn")
            return jnp.where(exact, frozen.value_fn(at, lambdas, weights)(p), jnp.nan)

        def residual_fn(p: PyTree) -> Array:
            note("residual_fn")
            return jnp.where(exact, frozen.residual_fn(at, lambdas, weights)(p), jnp.nan)

        updates, optimizer_state = inner.update(
            grad, state.optimizer, params, value=value, grad=grad, value_fn=value_fn, residual_fn=residual_fn
        )
        new_params = optax.apply_updates(params, updates)
        grad_norms = _rule.norms(term_grads)
        broken = guard.broken(term_losses, grad_norms, balanced)
        accepted = ~functools.reduce(jnp.logical_or, broken.values()) & guard.finite(updates)
        old_optimizer = state.optimizer
        if "value_fn" in asked:
            # A search that ends higher than it began is at rounding, or was led astray by what it remembers: forget it.
            raised = accepted & ~(value_fn(new_params) <= value)
            old_optimizer = guard.where(raised, inner.init(params), old_optimizer)
            accepted = accepted & ~raised
        new_params, point_state, term_state, optimizer_state = guard.where(
            accepted,
            (new_params, point_state, term_state, optimizer_state),
            (params, before, state.term_weights, old_optimizer),
        )

        new_state = dataclasses.replace(
            state,
            params=new_params,
            point_weights=point_state,
            term_weights=term_state,
            optimizer=optimizer_state,
            sampler=sampler_state,
            step=optax.safe_increment(state.step),
            skipped=state.skipped + ~accepted,
            nonfinite={name: state.nonfinite[name] + broken[name] for name in residuals},
        )
        metrics: Metrics = {"loss": value, "skipped": new_state.skipped}
        for name, r in residuals.items():
            metrics[f"loss/{name}"] = losses.loss(r, counts[name])
            metrics[f"weighted_loss/{name}"] = lambdas[name] * term_losses[name]
            metrics[f"weight/{name}"] = lambdas[name]
            metrics[f"grad_norm/{name}"] = grad_norms[name]
            metrics[f"nonfinite/{name}"] = new_state.nonfinite[name]
        for event in _wrappers.EVENTS:
            for events in _rule.found(term_state, event, residuals):
                for name, count in events.items():
                    metrics[f"{event}/{name}"] = metrics.get(f"{event}/{name}", 0) + count
        seen = monitor.Seen(
            terms=terms,
            definition=state.definition,
            params=params,
            constants=state.constants,
            points=points,
            residuals=frozen_residuals,
            term_grads=term_grads,
            term_weights=lambdas,
            point_weights=weights,
            step=state.step,
        )
        return new_state, monitor.joined([metrics, monitor.measured(monitors, seen)])

    return TrainStep(init, update)


def _together(batch: Mapping[str, PyTree] | None, drawn: Mapping[str, PyTree]) -> dict[str, PyTree]:
    """The points of the batch and those of the sampler."""
    if batch is not None and not isinstance(batch, Mapping):
        raise TypeError(f"the batch is a {type(batch).__name__}; expected a dict {{term: points}}")
    given = {} if batch is None else dict(batch)
    twice = sorted(set(drawn) & set(given))
    if twice:
        raise ValueError(f"the batch and the sampler both have points for {twice}; expected each term in one of them")
    return given | dict(drawn)


def _residuals_of(
    terms: Mapping[str, Any], points: Mapping[str, PyTree], state: TrainState, chunk: int | None
) -> dict[str, Array]:
    """Residuals of some of the terms, for a sampler."""
    some = {name: terms[name] for name in points}
    found = evaluation.residuals(some, state.definition, state.constants, chunk=chunk)(state.params, points)
    return jax.lax.stop_gradient(found)


def _of_points(terms: Mapping[str, Any], table: Mapping[str, Array]) -> dict[str, Array]:
    """Without the terms whose residuals belong to no point."""
    return {name: value for name, value in table.items() if not evaluation.without_points(terms[name])}


def _counts(terms: Mapping[str, Any], residuals: Mapping[str, Array], drawn: Draw) -> dict[str, Array]:
    """The weights that the point-space chain starts with: ones, or those of the sampler."""
    for term in drawn.weights:
        if evaluation.without_points(terms[term]):
            raise ValueError(
                f"the sampler weighs the points of {term!r}, whose residuals belong to no point (@batchwise); expected "
                "a sampler that draws its points with equal weights, or points in the batch"
            )
    counts = losses.ones(residuals)
    for name, ones in counts.items():
        own = names.of_residual(name, drawn.weights, terms)
        counts[name] = ones if own is None else own.astype(ones.dtype)
    return counts
