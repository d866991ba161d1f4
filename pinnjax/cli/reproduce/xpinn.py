"""Decomposed domains with a balancer in front: two layers, an L of three squares, Helmholtz' equation in quadrants.

A network on each subdomain, beside a single network with as many parameters, at equal numbers of steps and points. No
paper has this table. In the authors' code the weights are set by hand: 20 for the boundary and for the values at
interfaces, 1 for residuals; and the conditions at interfaces are the values and the residuals.

References:
  Jagtap, Karniadakis, `Extended physics-informed neural networks (XPINNs)
  <https://doi.org/10.4208/cicp.OA-2020-0164>`_, Communications in Computational Physics 28, 2020.
"""

import functools
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

import jax
import matplotlib.pyplot as plt
import numpy as np
import optax
from jaxtyping import Array
from matplotlib.figure import Figure

from pinnjax import nn, sampling, subdomains
from pinnjax.cli.reproduce import layered
from pinnjax.cli.reproduce.study import Claims, Results, Run, Study
from pinnjax.plot import style
from pinnjax.problems import Problem, Recipe, unseen
from pinnjax.term_weights import fixed, grad_norm_ratio, gradnorm, lr_annealing, ntk, relobralo

STEPS, INSIDE, ON_BOUNDARY, ON_INTERFACE, DEPTH = 4000, 480, 120, 30, 3
BY_HAND = 20.0  # the authors' weight of conditions
RULES: dict[str, Callable[[list[str]], Any]] = {  # of the names of the conditions
    "none": lambda conditions: None,
    "fixed": lambda conditions: fixed(dict.fromkeys(conditions, BY_HAND)),
    "gradnorm": lambda conditions: gradnorm(),
    "lr_annealing": lambda conditions: lr_annealing("pde"),
    "ntk": lambda conditions: ntk(),
    "grad_norm_ratio": lambda conditions: grad_norm_ratio(),
    "relobralo": lambda conditions: relobralo(),
}
PUBLISHED = "published"  # the authors' conditions and weights


class Divided(NamedTuple):
    """How a problem is divided.

    Attributes:
        boxes: the subdomains.
        width: of their networks.
        single: width of one network with as many parameters.
        pde: the residual, or one for each subdomain.
        coefficient: of the flux.
    """

    boxes: list[sampling.Box]
    width: int
    single: int
    pde: Any = None
    coefficient: Any = 1.0


def _square(x: float, y: float) -> sampling.Box:
    return sampling.Box((x, y), (x + 1.0, y + 1.0))


DIVIDED = {
    "layered": Divided(layered.LAYERS, 12, 17, [layered.in_layer(i) for i in (0, 1)], layered.COEFFICIENTS),
    "l_shape": Divided([_square(-1.0, 0.0), _square(0.0, 0.0), _square(-1.0, -1.0)], 20, 36),
    "helmholtz_6": Divided([_square(x, y) for x in (-1.0, 0.0) for y in (-1.0, 0.0)], 30, 62),
}


def networks(boxes: list[sampling.Box], width: int) -> Callable[..., nn.Subdomains]:
    """A network for each box, which it sees standardised."""

    def model(*, in_features: int, param_dtype: Any, rngs: nn.Rngs, **_: Any) -> nn.Subdomains:
        options = {"width": width, "depth": DEPTH, "param_dtype": param_dtype, "rngs": rngs}
        seen = [nn.Standardize.box(box.lower, box.upper) for box in boxes]
        return nn.Subdomains([nn.MLP(in_features, "scalar", inputs=inputs, **options) for inputs in seen], boxes)

    return model


@functools.cache
def whole(name: str) -> Problem:
    """The problem as it is posed elsewhere."""
    return layered.layered if name == "layered" else unseen.problem(name)


@functools.cache
def posed(name: str, conditions: tuple[str, ...] = ()) -> Problem:
    """The problem on subdomains, with these conditions at interfaces, or undivided; with as many points inside."""
    problem, how = whole(name), DIVIDED[name]
    all_points = functools.partial(problem.draw, points=problem.points, dtype=None)
    terms: dict[str, Any] = {"pde": problem.terms["pde"]}
    inside = lambda key: {"pde": all_points(key)["pde"][:INSIDE]}
    if conditions:
        terms, inside = subdomains.decomposed(
            how.pde or problem.terms["pde"],
            how.boxes,
            coefficient=how.coefficient,
            conditions=conditions,
            inside=INSIDE // len(how.boxes),
            on_interface=ON_INTERFACE,
        )

    def draw(key: Array) -> dict[str, Any]:
        inner, outer = jax.random.split(key)
        sides = jax.random.permutation(outer, all_points(outer)["bc"])[:ON_BOUNDARY]
        return {**inside(inner), "bc": sides}

    lower, upper = (np.stack([box.bounds[side] for box in how.boxes]) for side in (0, 1))
    inputs = nn.Standardize.box(lower.min(axis=0), upper.max(axis=0))
    return Problem(
        terms={**terms, "bc": problem.terms["bc"]},
        draw=draw,
        reference=problem.reference,
        grid=problem.grid,
        name=name,
        title=f"{problem.title}, {', '.join(conditions) or 'undivided'}",
        network={"in_features": lower.shape[1], "out_features": "scalar", "inputs": inputs},
    )


@functools.cache
def run(label: str) -> Run:
    """The run of a label "problem kind rule"."""
    name, kind, rule = label.split()
    how, summary = DIVIDED[name], f"{kind}, {rule}"
    model: Callable[..., Any]
    if kind == "single":
        problem, model = posed(name), functools.partial(nn.MLP, width=how.single, depth=DEPTH)
    else:
        problem = posed(name, ("value", "residual" if rule == PUBLISHED else "flux"))
        model = networks(how.boxes, how.width)
    conditions = [term for term in problem.terms if not term.startswith("pde")]
    if rule == PUBLISHED:
        # 20 |u_i - {{u}}|² is 5 |u_i - u_j|², and that and the jump of the residual are in the losses of both sides.
        both = {term: 2.0 if term.endswith("residual") else BY_HAND / 2 for term in conditions}
        weights: Any = fixed(both | {"bc": BY_HAND})
    else:
        weights = RULES[rule](conditions)
    rate = lambda steps: optax.cosine_decay_schedule(3e-3, steps)
    return Run(problem, Recipe(summary, model, rate, STEPS, term_weights=weights, resampled=True))


class _Runs(Mapping[str, Run]):
    """Each made when it is asked for: references take their time."""

    labels = tuple(
        f"{name} {kind} {rule}"
        for name in DIVIDED
        for kind, more in (("single", ()), ("divided", (PUBLISHED,)))
        for rule in (*RULES, *more)
    )

    def __getitem__(self, label: str) -> Run:
        return run(label)

    def __iter__(self) -> Iterator[str]:
        return iter(self.labels)

    def __len__(self) -> int:
        return len(self.labels)


def claims(results: Results) -> Claims:
    """What balancing does to a decomposed problem, and what the flux does."""
    error = {label: result.median() for label, result in results.items()}
    found = {}
    for name in DIVIDED:
        balanced = min(error[f"{name} divided {rule}"] for rule in RULES if rule not in ("none", "fixed"))
        found[f"{name}: some balancer at least halves the error of the decomposed problem"] = (
            balanced <= error[f"{name} divided none"] / 2
        )
    found["layered: one network, which knows no flux, is wrong: error > 0.1, with every rule"] = all(
        error[f"layered single {rule}"] > 0.1 for rule in RULES
    )
    found["layered: without the flux, so are two"] = error[f"layered divided {PUBLISHED}"] > 0.1
    return found


def figures(results: Results) -> dict[str, Figure]:
    """Errors of all rules, single and decomposed, side by side."""
    figure, axes = plt.subplots(1, len(DIVIDED), figsize=(4 * len(DIVIDED), 3.2), layout="constrained")
    for ax, name in zip(axes, DIVIDED, strict=True):
        for offset, kind in enumerate(("single", "divided")):
            errors = [results[f"{name} {kind} {rule}"].median() for rule in RULES]
            ax.bar(np.arange(len(RULES)) + 0.4 * offset, errors, 0.4, color=style.COLOURS[offset], label=kind)
        ax.set_xticks(np.arange(len(RULES)) + 0.2, list(RULES), rotation=40, ha="right")
        ax.set_yscale("log")
        ax.legend(frameon=False)
        style.finish(ax, name, "relative $L_2$ error")
    return {"errors": figure}


STUDY = Study(
    name="xpinn",
    title="A network on each subdomain, beside a single one, with balancers",
    source="after Jagtap & Karniadakis 2020; no paper's table",
    runs=_Runs(),
    claims=claims,
    quick_claims=claims,
    figures=figures,
)
