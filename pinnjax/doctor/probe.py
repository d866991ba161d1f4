"""The probe: measurements before and after a short training run, and along it."""

import functools
import warnings
from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Float

from pinnjax import checks, diagnostics, monitors
from pinnjax.doctor import _outcome
from pinnjax.doctor.evidence import SHORT, Evidence, Snapshot
from pinnjax.term_weights import current_weights
from pinnjax.terms import all_points, bridge, evaluation, losses, names, point_gradients
from pinnjax.train.fit import fit
from pinnjax.train.state import TrainState
from pinnjax.train.step import train_step

PyTree = Any
RECORDS = 100  # measurements along a probe
SEEN_POINTS = 256  # of a term, for what costs a gradient or a network a point
SLICES = 10  # of time
MANY = 16  # points that can have a distribution


def probe(
    terms: Mapping[str, Any],
    model: Any,
    batch: Mapping[str, PyTree] | None,
    *,
    optimizer: optax.GradientTransformation,
    steps: int,
    fresh: Mapping[str, PyTree] | None = None,
    exact: Callable[[Array], Array] | None = None,
    time: int | None = None,
    key: Any = None,
    **options: Any,
) -> Evidence:
    """Measure, train for some steps, and measure again; arguments as in `pinnjax.diagnose`."""
    checks.terms(terms)
    checks.known_names("diagnose: fresh", terms, fresh or {})
    every = max(1, steps // RECORDS)
    seen = [monitors.gradients(every=every), monitors.homogeneity(every=every)]
    sampler = options.get("sampler")
    train = train_step(terms, optimizer, monitors=seen, **options)
    state = train.init(model, batch, key=key)
    first = train.model(state)
    points = dict(batch or {}) | (dict(sampler.pool(state.sampler)) if sampler is not None else {})
    pointwise = {t: p for t, p in points.items() if not isinstance(terms[t], all_points.Batchwise)}
    arrays = {t: jnp.asarray(p) for t, p in pointwise.items() if not isinstance(p, Mapping | tuple) and np.ndim(p) == 2}
    box = {t: (np.min(np.asarray(p), axis=0), np.max(np.asarray(p), axis=0)) for t, p in arrays.items()}
    unmeasured: dict[str, str] = {}

    in_time = None if time is None else _in_time(arrays, time)
    equations = jax.eval_shape(evaluation.residuals(terms, state.definition, state.constants), state.params, points)
    owners = {name: names.term_of(name, terms) for name in equations}
    if time is None:
        unmeasured["causality"] = "no time was given: say time=i, the index of that coordinate, where there is one"
    elif in_time is None:
        unmeasured["causality"] = f"no term has points over an interval of coordinate {time}"
    if fresh is None and sampler is None:
        unmeasured["train/test gap"] = "no fresh points were given: fresh={term: points}"
    if steps < SHORT:
        unmeasured["what does not fall"] = f"{steps} steps are too few to say: steps={SHORT} or more"
    if exact is None:
        unmeasured["wrong conditions"] = "no exact solution was given: exact=u, a field"

    measure = _measurement(terms, state, points, arrays, box, fresh or {}, in_time, time)
    start = measure(state)
    # What is not finite is looked for only where there is something.
    broken = {} if np.isfinite(list(start.losses.values())).all() else _outcome.broken(terms, state, points)
    reference = None
    if exact is not None:
        exactly = _outcome.exactly(terms, exact, points)
        reference = {t: (exactly[t], float(np.sqrt(start.losses[t]))) for t in exactly}
    history: dict[str, np.ndarray] = {}
    if steps and not broken:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # steps that are skipped are counted, and are a finding
            state, history = fit(
                train,
                state,
                batch,
                steps=steps,
                record_every=every,
                steps_per_call=max(every, min(100, steps)),
                progress=False,
            )
    done = int(state.step)
    end = measure(state) if done else start
    length, step_size = (None, float("nan")) if not done else _outcome.line(train, terms, state, batch, points)
    return Evidence(
        steps=done,
        history=history,
        start=start,
        end=end,
        box=box,
        reference=reference,
        broken=broken,
        in_time=in_time,
        time=time,
        unmeasured=unmeasured,
        state=state,
        owners=owners,
        count={t: len(p) for t, p in arrays.items()},
        sampled=sampler is not None,
        short_lived=frozenset() if sampler is None else frozenset(sampler.short_lived(state.sampler)),
        relative=None if broken else _outcome.relative(terms, first, train.model(state), points, end, unmeasured),
        error=None if exact is None else _outcome.error(train.model(state), exact, arrays),
        length=length,
        step_size=step_size,
    )


def _measurement(
    terms: Mapping[str, Any],
    state: TrainState,
    points: Mapping[str, PyTree],
    arrays: Mapping[str, Array],
    box: Mapping[str, tuple[np.ndarray, np.ndarray]],
    fresh: Mapping[str, PyTree],
    in_time: str | None,
    time: int | None,
) -> Callable[[TrainState], Snapshot]:
    """What takes a snapshot of a state of this run; compiled once."""
    definition, constants = state.definition, state.constants
    evaluate = evaluation.residuals(terms, definition, constants)
    evaluate_fresh = evaluation.residuals({t: terms[t] for t in fresh}, definition, constants) if fresh else None
    few = evaluation.some_of_each(terms, points, SEEN_POINTS)
    at_points = {t: few[t] for t in arrays}
    widest = max(at_points.values(), key=len, default=None)

    @jax.jit
    def measure(params: PyTree) -> dict[str, PyTree]:
        residuals = evaluate(params, points)
        u = bridge.field(definition, params, constants)
        norms = point_gradients.point_grad_norms(terms, definition, constants)(params, few)
        waves: dict[str, Array] = {}
        for t, x in at_points.items():
            if len(x) >= MANY:
                at = functools.partial(evaluation.at_point(t, terms[t], definition), params, constants)
                waves |= _waves(at, x, jnp.asarray(box[t][1] - box[t][0], x.dtype))
        by_time = None
        if in_time is not None and time is not None:
            equations = [
                jnp.reshape(r, (len(r), -1)) for t, r in residuals.items() if names.term_of(t, terms) == in_time
            ]
            interval = (float(box[in_time][0][time]), float(box[in_time][1][time]))
            by_time = diagnostics.time_losses(
                jnp.concatenate(equations, axis=1), arrays[in_time][:, time], interval=interval, slices=SLICES
            )
        return {
            "losses": {t: losses.loss(r) for t, r in residuals.items()},
            "homogeneity": {t: diagnostics.homogeneity(r) for t, r in residuals.items()},
            "waves": waves,
            "rates": {t: jnp.mean(n**2) for t, n in norms.items()},
            "saturation": jnp.array([] if widest is None else diagnostics.saturation(u, widest)),
            "dead": jnp.array([] if widest is None else diagnostics.dead(u, widest)),
            "fresh": {t: losses.loss(r) for t, r in evaluate_fresh(params, fresh).items()} if evaluate_fresh else {},
            "time_losses": by_time,
        }

    def snapshot(at: TrainState) -> Snapshot:
        found = jax.device_get(measure(at.params))
        numbers = {name: {t: float(v) for t, v in found[name].items()} for name in ("losses", "homogeneity", "fresh")}
        weights = current_weights(at.term_weights, jax.eval_shape(evaluate, at.params, points))
        rates = {t: float(weights[t]) * float(rate) for t, rate in found["rates"].items()}
        return Snapshot(**found | numbers | {"rates": rates})

    return snapshot


def _waves(
    at: Callable[[Array], dict[str, Array]], points: Float[Array, "n d"], size: Float[Array, " d"]
) -> dict[str, Float[Array, " d"]]:
    """Waves of each residual across the box, along each coordinate."""
    values, slopes = jax.vmap(at)(points), jax.vmap(jax.jacfwd(at))(points)
    found = {}
    for name, r in values.items():
        axes = tuple(range(slopes[name].ndim - 1))
        square, steep = jnp.mean(r**2), jnp.mean(slopes[name] ** 2, axis=axes)
        found[name] = jnp.sqrt(steep / jnp.where(square > 0, square, 1)) * size / (2 * jnp.pi)
    return found


def _in_time(arrays: Mapping[str, Array], time: int) -> str | None:
    """The term with the most points, of those whose points are spread over time."""
    widest = max((p.shape[1] for p in arrays.values()), default=0)
    if not isinstance(time, int) or not 0 <= time < widest:
        raise ValueError(
            f"diagnose: time is {time!r}; expected the index of a coordinate of the points, which have {widest}: "
            f"{' or '.join(map(str, range(widest))) or 'none'}"
        )
    spread = {t: p for t, p in arrays.items() if time < p.shape[1] and float(np.ptp(np.asarray(p)[:, time])) > 0}
    return max(spread, key=lambda t: len(spread[t]), default=None)
