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
from collections.abc import Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array

from pinnjax import checks
from pinnjax.point_weights.per_point_memory import per_point_memory, reindexed
from pinnjax.sampling.sampler import Sampler
from pinnjax.term_weights import current_weights
from pinnjax.terms import bridge, chunks, evaluation, losses, point_gradients, term_gradients
from pinnjax.train import _gradients, _metrics, _points, _taken, frozen, guard, monitor, spaces
from pinnjax.train.state import Metrics, Parts, TrainState, TrainStep

PyTree = Any
LATER = 1_234_567  # folded into a key, it gives the one that is kept for later phases


def train_step(
    terms: Mapping[str, Any],
    optimizer: optax.GradientTransformation,
    *,
    point_weights: optax.GradientTransformation | None = None,
    term_weights: optax.GradientTransformation | None = None,
    sampler: Sampler | None = None,
    chunk: chunks.Chunk = "auto",
    monitors: Sequence[monitor.Monitor] = (),
) -> TrainStep:
    """Compose residuals, balancers of the three spaces and a sampler into one compiled train step.

    Args:
        terms: `{name: residual function}`; see `pinnjax.residuals`.
        optimizer: parameter space, any optax optimiser. It is offered `value`, `grad`, `value_fn`, `residual_fn` and
            `jacobian_fn` of the weighted loss with this step's weights frozen, as `optax.lbfgs` and
            `pinnjax.optimizers` need them; `grad` is the gradient of `value_fn`, so an optimiser that calls one of the
            functions needs term weights that only scale gradients.
        point_weights: point space, e.g. `pinnjax.point_weights.self_adaptive(1e-2)`; ones when None.
        term_weights: term space, e.g. `pinnjax.term_weights.lr_annealing("pde")`; ones when None.
        sampler: draws the points of some terms, or all, inside the step; the others come with the batch.
        chunk: points of a term that are differentiated at once: "auto" for as many as stay in the cache, None for all.
            Changes no result beyond rounding.
        monitors: measurements that join the metrics, e.g. `pinnjax.monitors.signal_to_noise(every=100)`.

    Returns:
        `(init, update)`:

        * `init(model, batch=None, *, key=None) -> state`; `key` is needed where there is a sampler, or a later phase
          draws random numbers.
        * `update(state, batch=None) -> (state, metrics)`, compiled. `metrics` is a flat dict of arrays: the total
          weighted `loss`; for each term `loss/t` = mean |r|², `weight/t` = λ_t, what the balancers made of g_t over
          g_t, `weighted_loss/t` = λ_t mean w |r|², `grad_norm/t` = ‖g_t‖ before term weights; and counters: `skipped`,
          `nonfinite/t`, and `held/t` where a rule holds weights.

        A step with a loss, a gradient or an update that is not finite is not taken: only `step`, sampler and counters
        move on. Nor is one of an optimiser that called `value_fn`, as a line search does, when it raises that value;
        the optimiser then starts anew from where it is. `pinnjax.train.faults` says what `fit` does about many of them.

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
    spaces.check("optimizer", optimizer)
    if point_weights is not None:
        spaces.check("point_weights", point_weights)
    if term_weights is not None:
        spaces.check("term_weights", term_weights)
    if sampler is not None and not isinstance(sampler, Sampler):
        raise TypeError(f"sampler is a {type(sampler).__name__}; expected a pinnjax.sampling.Sampler")
    rule = optax.identity() if point_weights is None else point_weights
    point_tx = optax.with_extra_args_support(rule if sampler is None else per_point_memory(rule))
    term_tx = optax.with_extra_args_support(optax.identity() if term_weights is None else term_weights)
    param_tx = optax.with_extra_args_support(optimizer)

    def init(model: Any, batch: Mapping[str, PyTree] | None = None, *, key: Any = None) -> TrainState:
        definition, params, constants = bridge.split(model)
        if sampler is not None or key is not None:
            checks.key("train.init: key", key)
        sampler_state = None if sampler is None else sampler.init(key)
        points = _points.together(batch, {} if sampler is None else sampler.pool(sampler_state))
        checks.batch(terms, points)
        checks.finite_points(points)
        residuals = jax.jit(evaluation.residuals(terms, definition, constants, chunk=chunk))(params, points)
        point_state = point_tx.init(residuals)
        if sampler is not None:
            guard.check_lifetimes(point_state, residuals, terms, sampler.short_lived(sampler_state))
        term_params = dict.fromkeys(residuals, params)
        at_points = point_gradients.point_grad_norms(terms, definition, constants, chunk=chunk)
        extra = {
            "residuals": residuals,
            "points": points,
            "sampling_weights": losses.ones(residuals),
            "step": jnp.zeros((), jnp.int32),
            "point_grad_norms": lambda: at_points(params, points),
        }
        if point_weights is not None:
            spaces.check_weights(rule, residuals, extra)
        if term_weights is not None:
            term_losses = {name: losses.loss(r) for name, r in residuals.items()}
            extra |= {"losses": term_losses, "point_weights": extra["sampling_weights"]}
            spaces.check_signs(term_tx, term_params, extra)
        zero = jnp.zeros((), jnp.int32)
        state = TrainState(
            definition=definition,
            params=params,
            constants=constants,
            point_weights=point_state,
            term_weights=term_tx.init(term_params),
            optimizer=param_tx.init(params),
            sampler=sampler_state,
            step=zero,
            skipped=zero,
            nonfinite=dict.fromkeys(residuals, zero),
            pace=jnp.ones((), jnp.result_type(*jax.tree.leaves(params))),
            key=None if key is None else jax.random.fold_in(key, LATER),
        )
        # Every leaf a buffer of its own, none of them the model's: the state can be donated. And of its own dtype: some
        # optimisers begin with a number of Python's, and the second step would compile again.
        return jax.tree.map(lambda leaf: jnp.array(leaf, dtype=jnp.asarray(leaf).dtype), state)

    @jax.jit
    def update(state: TrainState, batch: Mapping[str, PyTree] | None = None) -> tuple[TrainState, Metrics]:
        params = state.params
        drawn, sampler_state = _points.draw(sampler, batch, terms, state, chunk)
        points, old_point_state, places = drawn.points, state.point_weights, {}
        if sampler is not None:
            old_point_state = reindexed(rule, old_point_state, drawn.previous_index, terms)
            places = {"index": drawn.index}

        traced = evaluation.traced(terms, state.definition, state.constants)(params, points)
        shapes = evaluation.shapes(traced)
        guard.check_sizes(old_point_state, shapes, terms, drawn.index)
        counts = _points.sampling_weights(drawn, terms, shapes)
        at_points = point_gradients.point_grad_norms(terms, state.definition, state.constants, chunk=chunk)
        extra: dict[str, Any] = {
            "points": points,
            "sampling_weights": counts,
            "step": state.step,
            "point_grad_norms": lambda: at_points(params, points),
        }

        def weigh(residuals: Mapping[str, Array]) -> tuple[dict[str, Array], PyTree]:
            return point_tx.update(counts, old_point_state, None, **places, **extra, residuals=residuals)

        term_params = dict.fromkeys(shapes, params)

        def balance(found: _gradients.Gradients) -> tuple[dict[str, PyTree], PyTree]:
            return term_tx.update(found.term_grads, state.term_weights, term_params, **{**extra, **found.extra})

        found = _gradients.of_terms(traced, params, points, chunk, weigh, balance)
        residuals, weights, point_state, term_losses, term_grads, _ = found
        balanced, term_state = balance(found)
        extra |= found.extra
        grad = term_gradients.total(balanced)

        applied, exact = current_weights(term_state, residuals), jnp.array(True)
        if spaces.scales(term_tx):
            applied, exact = frozen.applied(term_grads, balanced, applied)
        evaluate = evaluation.residuals(terms, state.definition, state.constants, chunk=chunk)
        jacobians = point_gradients.point_jacobians(terms, state.definition, state.constants, chunk=chunk)
        loss = frozen.Loss(
            lambda p: evaluate(p, points),
            lambda p: jacobians(p, points),
            applied,
            weights,
            exact,
            lambda: spaces.check_directions(term_tx, term_params, extra, param_tx),
        )
        value = optax.tree.sum({name: applied[name] * term_losses[name] for name in residuals})
        updates, optimizer_state = param_tx.update(
            grad, state.optimizer, params, value=value, grad=grad, **loss.functions()
        )
        new_params = optax.apply_updates(params, _taken.paced(updates, state.pace, loss))

        grad_norms = term_gradients.norms(term_grads)
        nonfinite = guard.nonfinite(term_losses, grad_norms, balanced)
        finite = ~guard.any_of(nonfinite) & guard.finite(updates)
        accept, optimizer_state = _taken.judged(
            param_tx, loss, finite, value, params, new_params, state.optimizer, optimizer_state
        )
        new_params, point_state, term_state = guard.where(
            accept, (new_params, point_state, term_state), (params, old_point_state, state.term_weights)
        )

        new_state = dataclasses.replace(
            state,
            params=new_params,
            point_weights=point_state,
            term_weights=term_state,
            optimizer=optimizer_state,
            sampler=sampler_state,
            step=optax.safe_increment(state.step),
            skipped=state.skipped + ~accept,
            nonfinite={name: state.nonfinite[name] + nonfinite[name] for name in residuals},
        )
        metrics = _metrics.of_step(
            new_state,
            residuals,
            counts,
            value=value,
            weighted=term_losses,
            term_weights=applied,
            grad_norms=grad_norms,
        )
        info = monitor.StepInfo(
            terms=terms,
            definition=state.definition,
            params=params,
            constants=state.constants,
            points=points,
            residuals=extra["residuals"],
            term_grads=term_grads,
            term_weights=applied,
            point_weights=weights,
            step=state.step,
        )
        return new_state, monitor.joined([metrics, monitor.measured(monitors, info)])

    return TrainStep(init, update, Parts(terms, point_weights, term_weights, sampler, optimizer))
