"""Many small networks against one of as many parameters, on solutions of high frequency and of several.

Conditions are built into both fields, and points, rates and steps of Adam are the same; those of the one network take
longer.

References:
  Moseley, Markham, Nissen-Meyer, `Finite basis physics-informed neural networks (FBPINNs): a scalable domain
  decomposition approach for solving differential equations <https://arxiv.org/abs/2107.07871>`_, Advances in
  Computational Mathematics 49, 2023 (cos ωx; the oscillator is an example of the authors' code).

  Dolean, Heinlein, Mishra, Moseley, `Multilevel domain decomposition-based architectures for physics-informed neural
  networks <https://arxiv.org/abs/2306.05486>`_, Computer Methods in Applied Mechanics and Engineering 429, 2024 (the
  multi-scale Laplacian).
"""

from collections.abc import Callable, Mapping
from typing import Any

import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array
from matplotlib.figure import Figure

from pinnjax import nn, plot, sampling
from pinnjax.cli.reproduce.study import Claims, Results, Run, Study
from pinnjax.derivatives import diff, laplacian
from pinnjax.optimizers import ssbroyden
from pinnjax.problems import Problem, Recipe

Box = tuple[list[float], list[float]]
DAMPING, FREQUENCY = 2.0, 80.0  # of the oscillator
RATE = 1e-2
HALF_WAVES = (2, 4, 8, 16)  # of the Laplacian's solution, along each side


def wave(omega: float) -> Problem:
    """The equation u' = cos ωx on [-2π, 2π] with u(0) = 0."""
    return _problem(
        f"u' = cos {omega:g}x on [-2π, 2π]",
        ([-2 * np.pi], [2 * np.pi]),
        lambda u, x: diff(u, 0)(x) - jnp.cos(omega * x[0]),
        lambda x: np.sin(omega * x[:, 0]) / omega,
        int(40 * omega),
    )


def oscillator() -> Problem:
    """The damped oscillator, u'' / ω² + 2d u' / ω² + u = 0 on [0, 1], u(0) = 1, u'(0) = 0."""
    d, omega = DAMPING, FREQUENCY
    slow = np.sqrt(omega**2 - d**2)
    return _problem(
        f"u'' + {2 * d:g}u' + {omega:g}²u = 0 on [0, 1], u(0) = 1, u'(0) = 0",
        ([0.0], [1.0]),
        lambda u, t: diff(u, 0, 0)(t) / omega**2 + 2 * d / omega**2 * diff(u, 0)(t) + u(t),
        lambda t: np.exp(-d * t[:, 0]) * (np.cos(slow * t[:, 0]) + d / slow * np.sin(slow * t[:, 0])),
        200,
    )


def multi_scale() -> Problem:
    """The equation -Δu = f on [0, 1]² with u = 1/n Σ_i sin ω_i πx sin ω_i πy, which is zero on the boundary."""
    n = len(HALF_WAVES)

    def source(x: Array) -> Array:
        waves = [(w * np.pi) ** 2 * jnp.prod(jnp.sin(w * np.pi * x)) for w in HALF_WAVES]
        return 2 / n * sum(waves[1:], waves[0])

    return _problem(
        f"-Δu = f on [0, 1]², half waves {HALF_WAVES}",
        ([0.0, 0.0], [1.0, 1.0]),
        lambda u, x: laplacian(u)(x) + source(x),
        lambda x: np.mean([np.prod(np.sin(w * np.pi * x), axis=1) for w in HALF_WAVES], axis=0),
        1600,
    )


def _problem(title: str, box: Box, pde: Any, exact: Callable[[Any], Any], points: int) -> Problem:
    """A problem of one term; points stay equidistant on a line, and are drawn at random elsewhere."""
    low, up = (np.array(end) for end in box)
    axes = [np.linspace(a, b, 1001 if len(low) == 1 else 101) for a, b in zip(low, up, strict=True)]
    grid = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, len(low))

    def draw(key: Array, points: Mapping[str, int], dtype: Any = None) -> dict[str, Array]:
        if len(low) > 1:
            return {"pde": sampling.box(key, low, up, points["pde"], dtype)}
        return {"pde": jnp.linspace(low, up, points["pde"], dtype=dtype)}

    return Problem(
        terms={"pde": pde},
        draw=draw,
        reference=exact(grid),
        name="fbpinn",
        title=title,
        points={"pde": points},
        network={"in_features": len(low), "out_features": "scalar"},
        grid=grid,
        second_order=None,
    )


def _pair(
    problem: Problem,
    box: Box,
    windows: list[int],
    network: tuple[int, int],
    one: tuple[int, int],
    lift: float,
    factor: Callable[[Array], Array],
    steps: int = 4000,
    then: int = 0,
) -> tuple[Run, Run]:
    """Windows with networks of a width and a depth, and one network; u = lift + factor N.

    Both take `steps` of Adam, `then` of SSBroyden; the one network twice as many of these, since its are quicker.
    """
    box_to_unit = nn.Standardize((np.array(box[0]) + box[1]) / 2, (np.array(box[1]) - box[0]) / 2)

    low, up = box

    def many(param_dtype: Any, rngs: nn.Rngs, **shape: Any) -> nn.Constrained:
        width, depth = network
        options: dict[str, Any] = {"width": width, "depth": depth, "param_dtype": param_dtype, "rngs": rngs}
        inner = nn.FBPINN(low, up, shape["out_features"], windows=windows, **options)
        return nn.Constrained(inner, lambda x: jnp.full((), lift, x.dtype), factor)

    def single(param_dtype: Any, rngs: nn.Rngs, **shape: Any) -> nn.Constrained:
        width, depth = one
        options: dict[str, Any] = {"width": width, "depth": depth, "param_dtype": param_dtype, "rngs": rngs}
        inner = nn.MLP(**shape, inputs=box_to_unit, **options)
        return nn.Constrained(inner, lambda x: jnp.full((), lift, x.dtype), factor)

    schedule = lambda steps: optax.cosine_decay_schedule(RATE, steps, 0.01)

    def recipe(summary: str, model: Callable[..., Any], then: int) -> Recipe:
        adam = Recipe(summary, model, schedule, steps, resampled=len(low) > 1)
        if not then:
            return adam
        summary = f"{summary}, SSBroyden in float64 after {steps} steps of Adam"
        optimizer = lambda rate: ssbroyden()
        return Recipe(summary, None, steps=then, optimizer=optimizer, resampled=False, before=adam, dtype="float64")

    said = f"windows {windows} along an axis, {network[0]}x{network[1]} each"
    return Run(problem, recipe(said, many, then)), Run(
        problem, recipe(f"one network, {one[0]}x{one[1]}", single, 2 * then)
    )


def _cos(omega: float, width: int) -> tuple[Run, Run]:
    """A window for each wave; u = tanh(ωx) N / ω, as the authors have it."""
    box = ([-2 * np.pi], [2 * np.pi])
    factor = lambda x: jnp.tanh(omega * x[0]) / omega
    return _pair(wave(omega), box, [round(2 * omega)], (16, 2), (width, 4), 0.0, factor)


def _oscillation() -> tuple[Run, Run]:
    """With u = 1 + tanh²(ωt) N."""
    factor = lambda t: jnp.tanh(FREQUENCY * t[0]) ** 2
    return _pair(oscillator(), ([0.0], [1.0]), [20], (16, 1), (21, 3), 1.0, factor, 1000, 1000)


def _laplacian() -> tuple[Run, Run]:
    """Levels of 1 to 16 windows along a side; u = Π_i tanh(ω_n x_i) tanh(ω_n (1 - x_i)) N."""
    factor = lambda x: jnp.prod(jnp.tanh(HALF_WAVES[-1] * x) * jnp.tanh(HALF_WAVES[-1] * (1 - x)))
    return _pair(multi_scale(), ([0.0, 0.0], [1.0, 1.0]), [1, 2, 4, 8, 16], (16, 1), (85, 4), 0.0, factor)


PAIRS = {
    "cos 15x": _cos(15.0, 56),
    "cos 60x": _cos(60.0, 112),
    "oscillator": _oscillation(),
    "Laplacian": _laplacian(),
}


# By what factor the windows' error must be smaller. Of a short run of the oscillator nothing is claimed.
GAINS = {"cos 15x": 10, "cos 60x": 10, "oscillator": 10, "Laplacian": 10}
QUICK_GAINS = {"cos 15x": 10, "cos 60x": 10, "Laplacian": 5}


def claims(results: Results, gains: Mapping[str, int] = GAINS) -> Claims:
    """A smaller error, in no more seconds."""
    found: Claims = {}
    for name, gain in gains.items():
        many, one = results[f"{name}, windows"], results[f"{name}, one"]
        found[f"{name}: one network's error is more than {gain} times that of windows"] = (
            one.median() > gain * many.median()
        )
        found[f"{name}: windows take no more seconds"] = many.seconds <= one.seconds
    return found


def figures(results: Results) -> dict[str, Figure]:
    """The errors over the steps, a picture for each problem."""
    history = lambda label: results[label].history | {"step": results[label].steps}
    both = lambda name: {label: history(label) for label in (f"{name}, windows", f"{name}, one")}
    return {name.replace(" ", "_"): plot.race(both(name)) for name in PAIRS}


STUDY = Study(
    name="fbpinn",
    title="Windows with a small network each (FBPINN) against one network of as many parameters",
    source="after Moseley, Markham & Nissen-Meyer 2023 and Dolean, Heinlein, Mishra & Moseley 2024",
    runs={f"{name}, {what}": pair[i] for name, pair in PAIRS.items() for i, what in enumerate(("windows", "one"))},
    claims=claims,
    quick_claims=lambda results: claims(results, QUICK_GAINS),
    figures=figures,
    quick=0.5,
)
