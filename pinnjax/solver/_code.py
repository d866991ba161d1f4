"""The run as code: what `pinnjax.solve` did, with nothing hidden."""

from collections.abc import Sequence

import jax
import numpy as np
from jaxtyping import Array

from pinnjax.solver import _phases, _plan
from pinnjax.solver._plan import Plan

HEAD = """import jax
import jax.numpy as jnp
import numpy as np
import optax
import pinnjax as pj

jax.config.update("jax_enable_x64", True)

# terms and points are those given to pj.solve{model}
network_key, training_key = {keys}
{network}
{points}"""

WEIGHTS = """
weights = pj.term_weights.fixed({weights})"""

NETWORK = """
adam = optax.adam(optax.cosine_decay_schedule(5e-3, {warm_up}, 0.1))
first = pj.train_step(terms, adam, term_weights=weights{in_every_step})
second = pj.train_step(terms, pj.optimizers.ssbroyden(), term_weights=weights{now_and_then})
state = first.init(model, batch, key=training_key)
phases = [{phases}]
state, history = pj.fit(phases, state, batch, steps_per_call={per_call})
u = {train}.model(state)
"""

FEATURES = """
train = pj.train_step(terms, pj.optimizers.gauss_newton(solver="qr"), term_weights=weights{in_every_step})
state = train.init(model, batch, key=training_key)
state, history = pj.fit(train, state, batch, steps={steps}, steps_per_call={per_call})
u = train.model(state)
"""


DOUBLE = """
def double(points):
    real = lambda x: jnp.issubdtype(jnp.result_type(x), jnp.floating)
    return jax.tree.map(lambda x: jnp.asarray(x, float if real(x) else None), points)

"""

OF_SAMPLER = """
sampler = points
points = {t: lambda key, n, t=t: sampler.pool(sampler.init(key))[t] for t in terms}"""


def code(
    plan: Plan, keys: tuple[Array, Array], steps: Sequence[int], sampled: bool = False, march: str | None = None
) -> str:
    """Python that makes the same field, where `terms` and `points` (and `model`) are what was solved for.

    Args:
        plan: of the run.
        keys: of the network and of training.
        steps: of each phase, up to the field that was kept.
        sampled: whether the points were a sampler.
        march: what is done with the points in place of training.
    """
    moving = {t: source for t, source in plan.sources.items() if source.generate is not None}
    adaptive = [t for t in plan.equations if t in moving and moving[t].counts]
    rest = [t for t in moving if t not in adaptive]
    staying = [t for t in plan.sources if t not in moving]
    batch = "{" + ", ".join(f"{t!r}: {_staying(plan, t)}" for t in staying) + "}"
    lines = [DOUBLE, f"batch = double({batch})"] if staying else ["batch = None"]
    if moving:
        lines.append("moving = {")
        lines += [f"    {t!r}: ({source.code}, {plan.numbers[t]})," for t, source in moving.items()]
        lines += ["}", "", "", "def draw(key, names, fewer=1):", "    keys = jax.random.split(key, len(names))"]
        lines += ["    return {t: moving[t][0](k, max(1, moving[t][1] // fewer)) for k, t in zip(keys, names)}", "", ""]
    samplers = [
        f"pj.sampling.rad({t!r}, moving[{t!r}][0], {n}, candidates={_phases.CANDIDATES * n}, every={_phases.EVERY})"
        for t, n in ((t, plan.numbers[t]) for t in adaptive)
    ]
    samplers += [f"pj.sampling.resample(lambda key: draw(key, {rest}), every={_phases.EVERY})"] if rest else []
    second = f", sampler=pj.sampling.combine(\n    {(',' + chr(10) + '    ').join(samplers)},\n)"
    second = second if len(samplers) > 1 else f", sampler={samplers[0]}" if samplers else ""
    fewer = "" if plan.features else f", {_phases.FEWER}"
    first = f", sampler=pj.sampling.resample(lambda key: draw(key, {list(moving)}{fewer}))" if moving else ""
    if plan.growing and plan.time is not None and moving:
        lines += [
            "def growing(sampler):  # early times first",
            f"    return pj.sampling.growing(\n        sampler, {_phases.GROWS}, {_numbers(dict(plan.weights))},\n"
            f"        axis={plan.time[0]}, start={plan.time[1]!r}, factor={_phases.FACTOR}, every={_phases.EVERY},\n"
            "    )",
            "",
            "",
        ]
        first, second = (code.replace("sampler=", "sampler=growing(", 1) + ")" for code in (first, second))
    head = HEAD.format(
        model=("" if plan.made.scale is not None else ", and so is model") + (OF_SAMPLER if sampled else ""),
        keys=", ".join(map(_key, keys)),
        network=plan.made.code if march is None else "",
        points="\n".join(lines),
    )
    if march is not None:
        return head + march
    head += WEIGHTS.format(weights=_numbers(dict(plan.weights)))
    if plan.features:
        return head + FEATURES.format(in_every_step=first, steps=steps[0], per_call=_phases.rhythm(plan)[1])
    return head + NETWORK.format(
        warm_up=_phases.WARM_UP,
        in_every_step=first,
        now_and_then=second,
        phases=f"pj.Phase(first, {steps[0]})" + (f", pj.Phase(second, {steps[1]})" if steps[1] else ""),
        per_call=_phases.rhythm(plan)[1],
        train="second" if steps[1] else "first",
    )


def _staying(plan: Plan, term: str) -> str:
    if not plan.held_out(term):
        return f"points[{term!r}]"
    n = _plan.rows(plan.sources[term].points)
    chosen = f"np.random.default_rng(0).permutation({n})[{n // _plan.HELD_OUT}:]"
    return f"jax.tree.map(lambda x: x[{chosen}], points[{term!r}])"


def _key(key: Array) -> str:
    data = np.asarray(jax.random.key_data(key)).tolist()
    return f"jax.random.wrap_key_data(jnp.array({data}, jnp.uint32))"


def _numbers(weights: dict[str, float]) -> str:
    return "{" + ", ".join(f"{t!r}: {float(w)!r}" for t, w in weights.items()) + "}"
