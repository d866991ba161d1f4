"""GradNorm's evolution with three losses: weights, rates and gradients over the steps, and the loop line by line."""

import dataclasses
import html
from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from pinnjax.cli.pages import gradnorm_loop
from pinnjax.cli.pages.gradnorm_loop import EVERY
from pinnjax.cli.pages.page import Page, Section
from pinnjax.cli.pages.parts import choice, curve, plot, slider, spread
from pinnjax.cli.reproduce.gradnorm_evolution import ALPHAS
from pinnjax.cli.watching import watched
from pinnjax.problems import Problem, Recipe, poisson
from pinnjax.term_weights import gradnorm
from pinnjax.train.monitor import StepInfo

TERMS = {"pde": "equation", "bc": "boundary", "data": "data"}
MEASURED = 10  # points in the data
LOOP_STEPS = 200
SAME = 1e-3  # weights are near 1
LINE = np.linspace(0, 1, 81)[:, None]
RECIPE = dataclasses.replace(poisson.recipes["plain"], schedule=lambda steps: 1e-3, resampled=False)
History = dict[str, np.ndarray]


def data(u: Callable, x: Float[Array, " 1"]) -> Float[Array, ""]:
    """Residual u - sin(4πx) at a point of the data."""
    return u(x) - jnp.sin(4 * jnp.pi * x[0])


def draw(key: Array, points: Mapping[str, int], dtype: Any = None) -> dict[str, Array]:
    """The points of Poisson's problem, and those of the data, inside."""
    found = poisson.draw(key, points, dtype)
    return found | {"data": jnp.linspace(0, 1, points["data"] + 2, dtype=found["pde"].dtype)[1:-1, None]}


PROBLEM: Problem = dataclasses.replace(
    poisson, terms={**poisson.terms, "data": data}, draw=draw, points={**poisson.points, "data": MEASURED}
)


@dataclasses.dataclass(frozen=True)
class Size:
    """Seeds, looks after the first, and steps between two looks."""

    seeds: int
    moments: int
    every: int


@dataclasses.dataclass(frozen=True)
class Runs:
    """Moments, histories `{name: (K, E, ...)}` with equal weights and for each α, and the weights of three loops."""

    steps: np.ndarray
    histories: dict[str, History]
    loops: dict[str, np.ndarray]


FULL, QUICK = Size(5, 50, 100), Size(1, 20, 20)


def runs(size: Size = FULL) -> Runs:
    """Equal weights; every α and seed in one program; and the loops."""
    keys = jnp.stack([jax.random.key(seed) for seed in range(size.seeds)])
    look = lambda recipe: watched(PROBLEM, recipe, _measure, every=size.every, moments=size.moments)
    with_alpha = lambda alpha, key: look(_balanced(alpha))(key)
    alphas, _ = jax.jit(jax.vmap(jax.vmap(with_alpha, (None, 0)), (0, None)))(jnp.array(ALPHAS), keys)
    equal, _ = jax.jit(jax.vmap(look(RECIPE)))(keys)
    histories = {"equal weights": jax.device_get(equal)}
    histories |= {f"α = {a:g}": {n: np.asarray(v[i]) for n, v in alphas.items()} for i, a in enumerate(ALPHAS)}
    loops = gradnorm_loop.compared(PROBLEM, RECIPE, LOOP_STEPS)
    return Runs(size.every * np.arange(size.moments + 1), histories, loops)


def _balanced(alpha: Array) -> Recipe:
    return dataclasses.replace(RECIPE, term_weights=gradnorm(alpha=alpha, every=EVERY))


def _measure(info: StepInfo) -> dict[str, Array]:
    u = info.field()
    return {"u": jax.vmap(u)(jnp.asarray(LINE, jnp.float32)), **PROBLEM.evaluate(u)}


def page(quick: bool = False) -> Page:
    """GradNorm's evolution with three losses, equation, boundary and data, and its loop line by line beside ours."""
    return laid_out(runs(QUICK if quick else FULL), quick)


def spread_of_gradients(history: History) -> np.ndarray:
    """The largest weighted gradient over the smallest, median over seeds and the second half of the steps, `()`."""
    sizes = np.stack([history[f"grad_norm/{t}"] * history[f"weight/{t}"] for t in TERMS])
    late = (sizes.max(0) / sizes.min(0))[:, sizes.shape[2] // 2 :]
    return np.median(late)


def claims(found: Runs) -> dict[str, tuple[bool, str]]:
    """What is said of the weights, of the gradients, and of the loop."""
    plain = spread_of_gradients(found.histories["equal weights"])
    error = {name: float(np.median(h["relative_l2"][:, -1])) for name, h in found.histories.items()}
    sums = [sum(h[f"weight/{t}"] for t in TERMS) for h in found.histories.values()]
    off = max(float(np.max(np.abs(total - 3))) for total in sums)
    result = {"the weights add up to 3 at all times": (off < 1e-4, f"at most {off:.1g} away")}
    for name, history in list(found.histories.items())[1:]:
        ours = spread_of_gradients(history)
        closer = f"{name}: weighted gradients are closer together than with equal weights"
        result[closer] = (bool(ours < plain), f"largest over smallest {ours:.3g} against {plain:.3g}")
        smaller = f"{name}: the error is smaller than with equal weights"
        equal = error["equal weights"]
        result[smaller] = (error[name] < equal, f"error {error[name]:.2g} against {equal:.2g}")
    for name, words in {"pieces": "the loop with our pieces", "rule": "the rule, inside one program"}.items():
        away = float(np.max(np.abs(found.loops[name] - found.loops["documented"])))
        said = f"{words}: the weights of the documented loop, in {LOOP_STEPS} steps"
        result[said] = (away < SAME, f"at most {away:.0e} away, of weights from {_range(found.loops['documented'])}")
    return result


def _range(weights: np.ndarray) -> str:
    return f"{weights.min():.2g} to {weights.max():.3g}"


def laid_out(found: Runs, quick: bool = False) -> Page:
    """The page of these runs."""
    arrays: dict[str, Any] = {"steps": found.steps, "x": LINE[:, 0], "exact": np.sin(4 * np.pi * LINE[:, 0])}
    histories = list(found.histories.values())
    for t in TERMS:
        ratios = [h[f"loss/{t}"] / h[f"loss/{t}"][:, :1] for h in histories]
        mean = [sum(h[f"loss/{s}"] / h[f"loss/{s}"][:, :1] for s in TERMS) / len(TERMS) for h in histories]
        arrays |= spread(f"weight_{t}", [h[f"weight/{t}"] for h in histories], 0)
        arrays |= spread(f"loss_{t}", [h[f"loss/{t}"] for h in histories], 0)
        arrays |= spread(f"rate_{t}", [r / m for r, m in zip(ratios, mean, strict=True)], 0)
        arrays |= spread(f"size_{t}", [h[f"weight/{t}"] * h[f"grad_norm/{t}"] for h in histories], 0)
    arrays |= spread("error", [h["relative_l2"] for h in histories], 0) | spread("u", [h["u"] for h in histories], 0)
    arrays["loop_steps"] = np.arange(len(found.loops["rule"]))
    for name, weights in found.loops.items():
        arrays |= {f"loop_{name}_{t}": weights[:, i] for i, t in enumerate(TERMS)}
    controls = [
        choice("alpha", "weights", list(found.histories), len(histories) - 1),
        slider("step", "step", found.steps.tolist(), play=True),
    ]
    title = "GradNorm with three losses: what do the weights do?"
    return Page(title, _lead(found), controls, _sections(), arrays, claims(found), quick)


def _lead(found: Runs) -> str:
    seeds = found.histories["equal weights"]["relative_l2"].shape[0]
    return (
        f"<p>{html.escape(PROBLEM.title)}: three losses, of the equation at {PROBLEM.points['pde']} points, of the two "
        f"ends, and of {MEASURED} exact data inside. GradNorm trains the weights: they descend Σ |λ‖∇L‖ − target|, "
        "where the target is the mean of all λ‖∇L‖ times r<sup>α</sup>, and r says how slowly a loss falls beside the "
        "others. A larger α pulls harder at slow losses.</p>"
        f"<p class='soft'>Lines are medians of {seeds} seed{'s' * (seeds > 1)}, bands go from the least to the "
        f"largest; {found.steps[-1]} steps of Adam at 1e-3; weights move every {EVERY} steps, by Adam at 0.01.</p>"
    )


def _sections() -> list[Section]:
    each = lambda name: [curve(words, "steps", f"{name}_{t}[alpha]", band=True) for t, words in TERMS.items()]
    over = lambda title, y, curves, **more: plot(title, "step", y, curves, logy=True, cursor="step", **more)
    exact = curve("sin(4πx)", "x", "exact", colour="ink", dash=1)
    network = curve("network", "x", "u[alpha,step]", band=True, colour=1, dash=0)
    loops = [
        curve(f"{words}, {loop}", "loop_steps", f"loop_{key}_{t}", colour=i, dash=0 if key == "documented" else 2)
        for i, (t, words) in enumerate(TERMS.items())
        for key, loop in {"documented": "documented", "rule": "rule"}.items()
    ]
    head = "<div class='pair'><strong>as documented, by hand</strong><strong>with our pieces</strong></div>"
    code = lambda text: f"<pre>{html.escape(text)}</pre>"
    parts = "".join(
        f"<h3>{html.escape(name)}</h3><div class='pair'>{code(left)}{code(right)}</div>"
        for name, left, right in gradnorm_loop.side_by_side()
    )
    return [
        Section(
            "The evolution",
            "",
            [
                over("Weights λ", "λ", each("weight"), range=[5e-3, 4]),
                over("Weighted gradients λ‖∇L‖", "", each("size")),
                over("Losses, unweighted", "loss", each("loss")),
                over("Rates r: above 1, slower than the others", "r", each("rate"), range=[1e-4, 5]),
                over("Relative L2 error", "error", [curve("error", "steps", "error[alpha]", band=True)]),
                plot("The solution at this step", "x", "u", [exact, network], range=[-3, 3]),
            ],
            "two",
        ),
        Section(
            "The loop, line by line",
            "<p>Both loops are run, and so is <code>term_weights=pj.term_weights.gradnorm("
            f"alpha={gradnorm_loop.ALPHA}, learning_rate=optax.sgd({gradnorm_loop.RATE:g}), every={EVERY})</code>, "
            "which is all of it inside one compiled step. The figure has the weights of the first and of the last.</p>"
            + head
            + parts,
            [plot("The weights of both", "step", "λ", loops, logy=True)],
            "two",
        ),
    ]
