"""The Goldilocks zone: the harmonic oscillator's error over one fixed weight of its initial conditions."""

import dataclasses

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure

from pinnjax.cli.reproduce.study import Claims, Results, Run, Study
from pinnjax.plot import style
from pinnjax.problems import harmonic
from pinnjax.term_weights import fixed, ntk

EXPONENTS = range(-3, 6)
PLAIN = harmonic.recipes["plain"]
EQUATION_ALONE = -1  # the largest exponent at which the equation alone decides
EXPECTED = {-3: "about 1", 0: "about 1", 2: "a few 1e-2", 5: "large again"}


def _label(exponent: int) -> str:
    return f"λ = 1e{exponent}"


def _runs() -> dict[str, Run]:
    runs = {}
    for exponent in EXPONENTS:
        recipe = dataclasses.replace(PLAIN, summary="fixed weight", term_weights=fixed({"ic": 10.0**exponent}))
        runs[_label(exponent)] = Run(harmonic, recipe, EXPECTED.get(exponent))
    balanced = dataclasses.replace(PLAIN, summary="NTK weights", term_weights=ntk())
    return runs | {"ntk": Run(harmonic, balanced, "1e-4, in order of magnitude")}


def claims(results: Results) -> Claims:
    """The zone has two ends, and a balancer finds it."""
    error = {exponent: results[_label(exponent)].median() for exponent in EXPONENTS}
    return {
        f"λ <= {10.0**EQUATION_ALONE:g} forgets the initial conditions: error > 0.9": all(
            error[e] > 0.9 for e in EXPONENTS if e <= EQUATION_ALONE
        ),
        "λ = 1e5 drowns the equation: error > 0.3": error[5] > 0.3,
        "λ = 1e2 is right: error < 1e-2": error[2] < 1e-2,
        "NTK weights find it: error < 1e-2": results["ntk"].median() < 1e-2,
    }


def figures(results: Results) -> dict[str, Figure]:
    """The error over λ, seeds and median, and the balancer's as a line."""
    figure, ax = plt.subplots(figsize=(4.5, 3.2), layout="constrained")
    weights = [10.0**exponent for exponent in EXPONENTS]
    errors = np.array([results[_label(exponent)].final() for exponent in EXPONENTS])
    ax.plot(weights, np.median(errors, axis=1), color=style.COLOURS[0], marker="o", label="fixed λ, median")
    ax.plot(weights, errors, ".", color=style.COLOURS[0], alpha=0.5)
    ax.axhline(results["ntk"].median(), color=style.COLOURS[1], linestyle="--", label="NTK weights, median")
    ax.set(xscale="log", yscale="log")
    ax.legend(frameon=False)
    style.finish(ax, "weight λ of the initial conditions", "relative $L_2$ error")
    return {"sweep": figure}


STUDY = Study(
    name="harmonic",
    title="Harmonic oscillator: the error over one fixed weight, and with NTK weights",
    source="the loss-balance crisis, as the introductions to balancing tell it; no paper's table",
    runs=_runs(),
    claims=claims,
    quick_claims=lambda results: {
        "λ = 1e-3 forgets the initial conditions: error > 0.9": results[_label(-3)].median() > 0.9,
        "λ = 1e2 has a tenth of that error at most": results[_label(2)].median() < 0.1 * results[_label(-3)].median(),
    },
    figures=figures,
    seeds=5,
)
