"""The loss-weight tuner: one slider for the weight of the initial conditions, and what each setting leads to."""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from pinnjax.cli.pages.page import Page, Section
from pinnjax.cli.pages.parts import choice, curve, plot, slider, spread
from pinnjax.cli.watching import watched
from pinnjax.problems import Recipe, harmonic
from pinnjax.problems.harmonic import OMEGA
from pinnjax.term_weights import fixed, gradnorm, lr_annealing, ntk
from pinnjax.train.monitor import StepInfo

RATE = 1e-3
CLEAN, WRONG = 0.05, 0.30
DOCUMENT = {-3.0: "wrong", 0.0: "wrong", 2.0: "clean", 5.0: "wrong"}  # log10 λ and the verdict
GRID = np.linspace(0.0, 1.0, 51)
TERMS = ("pde", "ic")
PLAIN = dataclasses.replace(harmonic.recipes["plain"], resampled=False, schedule=lambda steps: RATE)
AUTOMATIC = {
    "NTK": dataclasses.replace(PLAIN, term_weights=ntk()),
    "learning-rate annealing": dataclasses.replace(PLAIN, term_weights=lr_annealing("pde")),
    "GradNorm": dataclasses.replace(PLAIN, term_weights=gradnorm()),
    "hard constraint": dataclasses.replace(harmonic.recipes["hard"], resampled=False, schedule=lambda steps: RATE),
}
History = dict[str, np.ndarray]


@dataclasses.dataclass(frozen=True)
class Size:
    """How many settings, seeds and looks, and how many steps lie between two looks."""

    weights: int
    seeds: int
    moments: int
    every: int


FULL, QUICK = Size(33, 5, 40, 50), Size(9, 1, 20, 40)


@dataclasses.dataclass(frozen=True)
class Runs:
    """All settings over all seeds.

    Attributes:
        exponents: log10 λ, `(L,)`.
        steps: `(E,)`, the moments.
        by_hand: `{name: (L, K, E, ...)}`.
        automatic: `{method: {name: (1, K, E, ...)}}`.
    """

    exponents: np.ndarray
    steps: np.ndarray
    by_hand: History
    automatic: dict[str, History]


def runs(size: Size = FULL) -> Runs:
    """Every λ and every seed in one program, each automatic rule in one more."""
    exponents = np.linspace(-3, 5, size.weights)
    keys = jnp.stack([jax.random.key(seed) for seed in range(size.seeds)])
    look = lambda recipe: watched(harmonic, recipe, _measure, every=size.every, moments=size.moments)
    by_hand = lambda weight, key: look(_weighed(weight))(key)
    weights = jnp.asarray(10.0**exponents, jnp.float32)
    found, _ = jax.jit(jax.vmap(jax.vmap(by_hand, (None, 0)), (0, None)))(weights, keys)
    automatic = {}
    for name, recipe in AUTOMATIC.items():
        history, _ = jax.jit(jax.vmap(look(recipe)))(keys)
        automatic[name] = {key: np.asarray(values)[None] for key, values in history.items()}
    return Runs(exponents, size.every * np.arange(size.moments + 1), jax.device_get(found), automatic)


def _weighed(weight: Array) -> Recipe:
    return dataclasses.replace(PLAIN, term_weights=fixed({"ic": weight}))


def _measure(info: StepInfo) -> dict[str, Array]:
    u = info.field()
    return {"u": jax.vmap(u)(jnp.asarray(GRID, jnp.float32)[:, None]), **harmonic.evaluate(u)}


def verdict(error: float) -> str:
    """What a relative L2 error means on this page.

    Example:
        >>> print(verdict(0.01), verdict(0.2), verdict(1.0), verdict(float("nan")), sep=", ")
        clean, neither clean nor wrong, wrong steady state, wrong steady state
    """
    if error < CLEAN:
        return "clean"
    return "neither clean nor wrong" if error <= WRONG else "wrong steady state"


def page(quick: bool = False) -> Page:
    """The loss-weight tuner: an oscillator with any weight of its start, and with automatic ones, as it trains."""
    return laid_out(runs(QUICK if quick else FULL), quick)


def laid_out(found: Runs, quick: bool = False) -> Page:
    """The page of these runs."""
    methods = [found.by_hand, *found.automatic.values()]
    arrays: dict[str, Any] = {"t": GRID, "exact": np.cos(OMEGA * GRID), "steps": found.steps, "log": found.exponents}
    missing = np.full((1, 1, len(found.steps)), np.nan)  # a term that is built in has no loss: nothing is drawn
    for name in [f"{kind}/{term}" for kind in ("loss", "grad_norm", "weight") for term in TERMS] + ["relative_l2", "u"]:
        arrays |= spread(name.replace("/", "_"), [method.get(name, missing) for method in methods], 1)
    arrays |= spread("final", found.by_hand["relative_l2"][..., -1], 1)
    arrays["place"] = [found.exponents, *[np.full(1, np.nan)] * len(found.automatic)]
    arrays["verdict"] = [[verdict(errors[-1]) for errors in method] for method in arrays["relative_l2"]]
    shown = [f"{e:g}  (λ = {10.0**e:.3g})" for e in found.exponents]
    middle = int(np.argmin(np.abs(found.exponents)))
    controls = [
        choice("method", "weights", ["by hand", *found.automatic]),
        slider(
            "weight",
            "log₁₀ λ of the initial conditions",
            found.exponents.tolist(),
            start=middle,
            shown=shown,
            only=["method", 0],
        ),
        slider("step", "train: step", found.steps.tolist(), play=True),
    ]
    return Page(
        "How much weight for the initial conditions? The loss-weight tuner",
        _lead(found),
        controls,
        _sections(),
        arrays,
        claims(found),
        quick,
    )


def claims(found: Runs) -> dict[str, tuple[bool, str]]:
    """The verdicts of the document at four weights; what the automatic rules come to."""
    result = {}
    for exponent, said in DOCUMENT.items():
        index = int(np.argmin(np.abs(found.exponents - exponent)))
        errors = found.by_hand["relative_l2"][index, :, -1]
        ours = verdict(float(np.median(errors)))
        numbers = f"error {np.median(errors):.2g}, worst seed {np.max(errors):.2g}: {ours}"
        result[f"λ = 1e{exponent:g} is {said}"] = (ours.startswith(said), numbers)
    for name, history in found.automatic.items():
        errors = history["relative_l2"][0, :, -1]
        numbers = f"error {np.median(errors):.2g}, worst seed {np.max(errors):.2g}"
        if "weight/ic" in history:
            ratio = np.median(history["weight/ic"][0, :, -1] / history["weight/pde"][0, :, -1])
            numbers += f"; at the end λ_ic / λ_pde is {ratio:.3g}"
        result[f"{name} is clean without a slider"] = (bool(np.median(errors) < CLEAN), numbers)
    return result


def _lead(found: Runs) -> str:
    seeds = found.by_hand["relative_l2"].shape[1]
    return (
        f"<p>An oscillator, u″ + ω²u = 0 with ω = 2π, u(0) = 1 and u′(0) = 0 on [0, 1], so u = cos(ωt). A network "
        f"(tanh, {harmonic.network['depth']} layers of {harmonic.network['width']}) is trained on the loss "
        f"mean (u″ + ω²u)² + λ [(u(0) − 1)² + u′(0)²], with N = {harmonic.points['pde']} points and {found.steps[-1]} "
        f"steps of Adam at {RATE:g}. Move λ, and look at both losses. Then press <em>Play</em>, and watch it train.</p>"
        f"<p class='soft'>Lines are medians of {seeds} seed{'s' * (seeds > 1)}, bands go from the least to the "
        f"largest. At the end an error below {CLEAN:.0%} is called clean, one above {WRONG:.0%} a wrong steady state. "
        "All runs by hand are one compiled program.</p>"
    )


def _sections() -> list[Section]:
    over = lambda title, y, range_, curves: plot(title, "step", y, curves, logy=True, cursor="step", range=range_)
    one = lambda name, label: curve(label, "steps", f"{name}[method,weight]", band=True)
    both = lambda name: [one(f"{name}_pde", "equation"), one(f"{name}_ic", "initial conditions")]
    reference = curve("cos(ωt)", "t", "exact", colour="ink", dash=1)
    network = curve("network", "t", "u[method,weight,step]", band=True, colour=1, dash=0)
    by_hand = curve("by hand", "log", "final", band=True)
    table = [
        ["relative L2 error", "relative_l2[method,weight,step]"],
        ["verdict at the end of training", "verdict[method,weight]"],
        ["loss of the equation", "loss_pde[method,weight,step]"],
        ["loss of the initial conditions", "loss_ic[method,weight,step]"],
        ["weight λ of the initial conditions", "weight_ic[method,weight,step]"],
    ]
    zone = {"logy": True, "mark": "place[method,weight]"}
    return [
        Section(
            "What the network has learnt",
            "",
            [
                plot("The solution at this step", "t", "u(t)", [reference, network], range=[-1.6, 1.6]),
                plot("The error at the end over λ", "log₁₀ λ", "relative L2 error", [by_hand], **zone),
                {"kind": "table", "title": "At this step", "table": table},
            ],
        ),
        Section(
            "How it got there",
            "<p>Without a loss of the initial conditions, u = 0 solves the equation. With little else, any curve that "
            "starts right will do. Between lies a narrow zone, and an automatic rule has to find it: look at its "
            "weights. GradNorm's add up to 2 and move by Adam with a rate of 0.01, so they may not get there in time; "
            "those of learning-rate annealing may wait at the zone's lower edge, where the seed decides.</p>",
            [
                over("Losses, unweighted", "loss", [1e-7, 1e4], both("loss")),
                over("Lengths of their gradients, unweighted", "‖∇L‖", [1e-6, 1e4], both("grad_norm")),
                over("Weights", "λ", [1e-3, 1e5], both("weight")),
                over("Relative L2 error", "error", [1e-4, 3], [one("relative_l2", "error")]),
            ],
            "two",
        ),
    ]
