"""Why terms fall out of balance: the equation's gradient grows with the solution's frequency, the boundary's does not.

For u'' = -C² sin(Cx) on [0, 1] write the network as u_θ = u ε_θ with u = sin(Cx) and ε_θ near 1. Then

    r = u_θ'' + C² u = -C² u (ε_θ - 1) + 2C cos(Cx) ε_θ' + u ε_θ'',

so that |∇_θ mean r²| <= 2 (C² ‖ε-1‖ + 2C ‖ε'‖ + ‖ε''‖) (C² ‖∇ε‖ + 2C ‖∇ε'‖ + ‖∇ε''‖) = O(C⁴), while the boundary's
gradient stays below 2 ‖ε-1‖ ‖∇ε‖, in suprema over x and over the parameters. Both sides are computed here for a network
of that form; networks as they are trained are measured besides.

References:
  Wang, Teng, Perdikaris, `Understanding and mitigating gradient pathologies in physics-informed neural networks
  <https://arxiv.org/abs/2001.04536>`_, SIAM Journal on Scientific Computing 43(5), 2021: Section 2.4.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np
from jaxtyping import Array
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from pinnjax.cli.reproduce.study import Claims, Result, Results, Run, Study
from pinnjax.plot import style
from pinnjax.problems import poisson_with

HALF_WAVES = (1, 2, 4, 8, 16)  # a, with C = aπ
SIZE = 0.1  # of ε - 1, of its derivatives' scale too
WIDTH, POINTS = 20, 400


class Gradients(NamedTuple):
    """Largest entries of the two gradients, and their bounds."""

    pde: float
    pde_bound: float
    bc: float
    bc_bound: float


def epsilon(params: dict[str, Array], x: Array) -> Array:
    """ε_θ(x): one, and a small network with one hidden layer."""
    return 1 + SIZE * params["out"] @ jnp.tanh(params["kernel"] * x + params["bias"])


def near_solution(frequency: float) -> Gradients:
    """Gradients and bounds for u_θ = sin(Cx) ε_θ; C - π/2 a multiple of π makes |u| one at the right end."""
    keys = jax.random.split(jax.random.key(0), 3)
    params = {name: jax.random.normal(key, (WIDTH,)) for name, key in zip(("kernel", "bias", "out"), keys, strict=True)}
    params["out"] /= WIDTH
    x = jnp.linspace(0.0, 1.0, POINTS)
    field = lambda p, s: jnp.sin(frequency * s) * epsilon(p, s)

    def d(f: Callable, order: int) -> Callable:
        """The derivative of that order with respect to the place."""
        return f if order == 0 else d(jax.grad(f, argnums=1), order - 1)

    def equation(p: dict[str, Array]) -> Array:
        return jnp.mean(jax.vmap(lambda s: d(field, 2)(p, s) + frequency**2 * jnp.sin(frequency * s))(x) ** 2)

    def boundary(p: dict[str, Array]) -> Array:
        ends = jnp.array([0.0, 1.0])
        return jnp.mean(jax.vmap(lambda s: field(p, s) - jnp.sin(frequency * s))(ends) ** 2)

    powers = (frequency**2, 2 * frequency, 1.0)
    size = [_largest(jax.vmap(lambda s, k=k: d(epsilon, k)(params, s) - (k == 0))(x)) for k in range(3)]
    slope = [_largest(jax.vmap(lambda s, k=k: jax.grad(d(epsilon, k))(params, s))(x)) for k in range(3)]
    both = [sum(c * values[k] for k, c in enumerate(powers)) for values in (size, slope)]
    return Gradients(
        _largest(jax.grad(equation)(params)),
        2 * both[0] * both[1],
        _largest(jax.grad(boundary)(params)),
        2 * size[0] * slope[0],
    )


def _largest(tree: object) -> float:
    return max(float(jnp.max(jnp.abs(leaf))) for leaf in jax.tree.leaves(tree))


def exponent(frequencies: list[float], values: list[float]) -> float:
    """Slope of log(value) over log(frequency), by least squares."""
    return float(np.polyfit(np.log(frequencies), np.log(values), 1)[0])


def _label(a: int) -> str:
    return f"a = {a}"


def trained(results: Results, term: str) -> list[float]:
    """Median over the run and the seeds of a term's gradient norm, one a frequency."""
    return [_median(results[_label(a)], term) for a in HALF_WAVES]


def _median(result: Result, term: str) -> float:
    return float(np.median(result.history[f"grad_norm/{term}"]))


def _analysis() -> tuple[list[float], list[Gradients]]:
    frequencies = [(a + 0.5) * np.pi for a in HALF_WAVES]
    return frequencies, [near_solution(c) for c in frequencies]


def claims(results: Results) -> Claims:
    """The bounds hold and are of the right order; training shows the same."""
    frequencies, found = _analysis()
    pde, bc = exponent(frequencies, [g.pde for g in found]), exponent(frequencies, [g.bc for g in found])
    ratio = list(np.divide(trained(results, "pde"), trained(results, "bc")))
    growth = exponent([a * np.pi for a in HALF_WAVES], ratio)
    return {
        "near the solution, both gradients are within their bounds": all(
            g.pde <= g.pde_bound and g.bc <= g.bc_bound for g in found
        ),
        "there, the equation's grows like C^3.5 to C^4.1": 3.5 <= pde <= 4.1,
        "there, the boundary's grows like C^-0.3 to C^0.3": abs(bc) <= 0.3,
        "in training, the equation's gradient over the boundary's grows faster than C": growth > 1,
    }


def figures(results: Results) -> dict[str, Figure]:
    """Gradients over frequency: near the solution beside the bounds, and in training."""
    figure, (left, right) = plt.subplots(1, 2, figsize=(8, 3.2), layout="constrained")
    frequencies, found = _analysis()
    colours = style.COLOURS
    left.plot(frequencies, [g.pde for g in found], "o-", color=colours[0], label="equation")
    left.plot(frequencies, [g.pde_bound for g in found], "--", color=colours[0], label="its bound, $O(C^4)$")
    left.plot(frequencies, [g.bc for g in found], "o-", color=colours[1], label="boundary")
    left.plot(frequencies, [g.bc_bound for g in found], "--", color=colours[1], label="its bound")
    left.set_title("largest entry, near the solution")
    _loglog(left)
    plain = [a * np.pi for a in HALF_WAVES]
    for colour, term, label in ((colours[0], "pde", "equation"), (colours[1], "bc", "boundary")):
        right.plot(plain, trained(results, term), "o-", color=colour, label=label)
    right.set_title("norm, median of the training")
    _loglog(right)
    return {"growth": figure}


def _loglog(ax: Axes) -> None:
    ax.set(xscale="log", yscale="log")
    ax.set_xticks([5, 10, 20, 50], ["5", "10", "20", "50"])
    ax.xaxis.set_minor_formatter("")
    ax.legend(frameon=False, fontsize="small")
    style.finish(ax, "frequency C", "gradient")


def _runs() -> dict[str, Run]:
    problems = {a: poisson_with(a) for a in HALF_WAVES}
    return {_label(a): Run(problem, problem.recipes["plain"]) for a, problem in problems.items()}


STUDY = Study(
    name="poisson",
    title="Poisson's equation: gradients of the terms over the solution's frequency",
    source="Wang, Teng & Perdikaris 2021, Section 2.4",
    runs=_runs(),
    claims=claims,
    quick_claims=claims,
    figures=figures,
)
