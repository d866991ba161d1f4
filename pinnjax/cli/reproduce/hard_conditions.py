"""Conditions built in against conditions that are weighed: the oscillator's start, and Helmholtz' boundary.

Of two runs of a problem only the condition differs: it is a part of the field, or a term of the loss with a weight. The
seconds of a run say what that costs; a condition that is built in needs no points, and no weight to search for. It is
not more exact than the weight that a search finds: the oscillator ends at 3e-4 with its start built in, at 1e-4 with
λ = 100 (20 000 steps, three seeds), and at 1 with equal weights (5000 steps, one).

On the square the boundary is built in twice: with the product of the sides' distances, which is a polynomial, and with
the approximate distance to the boundary, whose slope is one on all of it, and which is not smooth in the corners. After
8000 steps the first is where λ = 100 is, at 4e-2, and the second at 0.8 (one seed).
"""

import dataclasses
import functools
from collections.abc import Callable

from jaxtyping import Array, Float

from pinnjax import nn, sampling
from pinnjax.cli.reproduce import curves
from pinnjax.cli.reproduce.study import Claims, Results, Run, Study
from pinnjax.problems import Recipe, harmonic, helmholtz
from pinnjax.term_weights import fixed, lr_annealing

WEIGHED = ("annealed", "ntk", "fixed", "plain")  # recipes of the oscillator
SQUARE = sampling.Box((-1.0, -1.0), (1.0, 1.0))
SOFT = dataclasses.replace(helmholtz.recipes["best"], model=nn.MLP, steps=20_000)


def product(x: Float[Array, " 2"]) -> Float[Array, ""]:
    """(1 - x²) (1 - y²), zero on the sides of the square."""
    return (1 - x[0] ** 2) * (1 - x[1] ** 2)


def _built_in(distance: Callable[[Array], Array], summary: str) -> Recipe:
    model = lambda **network: nn.WithConditions(nn.MLP(**network), [nn.Dirichlet(distance, 0.0)])
    return dataclasses.replace(SOFT, model=model, summary=summary, term_weights=None, built_in=("bc",))


def _runs() -> dict[str, Run]:
    soft = {
        "λ = 100": dataclasses.replace(SOFT, summary="MLP, λ_bc = 100", term_weights=fixed({"bc": 100.0})),
        "annealed": dataclasses.replace(SOFT, summary="MLP, learning-rate annealing", term_weights=lr_annealing("pde")),
    }
    hard = {
        "hard": _built_in(product, "MLP, the boundary built in, (1 - x²) (1 - y²) N"),
        "hard, distance": _built_in(SQUARE.distance, "MLP, the boundary built in by its distance"),
    }
    return {
        **{f"oscillator, {name}": Run(harmonic, harmonic.recipes[name]) for name in ("hard", *WEIGHED)},
        **{f"Helmholtz, {name}": Run(helmholtz, recipe) for name, recipe in (hard | soft).items()},
    }


def claims(results: Results) -> Claims:
    """Nothing to search for, and not far from what a search finds; by the medians over the seeds."""
    error = {label: result.median() for label, result in results.items()}
    hard, product = error["oscillator, hard"], error["Helmholtz, hard"]
    return {
        "oscillator: the start built in has at most a tenth of the error of equal weights": hard
        <= 0.1 * error["oscillator, plain"],
        "oscillator: it has at most five times that of the best weight": hard
        <= 5 * min(error[f"oscillator, {name}"] for name in WEIGHED),
        "Helmholtz: the boundary built in has at most twice the error of λ = 100": product
        <= 2 * error["Helmholtz, λ = 100"],
        "Helmholtz: a factor that is not smooth in the corners is worse": product < error["Helmholtz, hard, distance"],
    }


STUDY = Study(
    name="hard",
    title="Conditions built in against conditions that are weighed: an oscillator, and the Helmholtz equation",
    source="after Sukumar & Srivastava 2022; no table of theirs",
    runs=_runs(),
    claims=claims,
    quick_claims=claims,
    figures=functools.partial(curves.by_problem, problems=("oscillator", "Helmholtz")),
    quick=0.4,
)
