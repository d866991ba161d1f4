"""The race of point weights, step by step: fits, residuals and the weights that each point has got."""

import dataclasses
from collections.abc import Iterable
from typing import Any

import numpy as np

from pinnjax.cli.pages import race_runs
from pinnjax.cli.pages.page import Page, Section
from pinnjax.cli.pages.parts import Figure, choice, curve, plot, slider, spread
from pinnjax.cli.pages.race_runs import LINE, MODES, NETWORK, PLANES, RATES, SIGMOID, SQUARE, History, Size
from pinnjax.problems import tanh
from pinnjax.problems.tanh import FRONT, STEEPNESS

KEYS = dict(zip(MODES, ("uniform", "norm", "sigmoid", "square"), strict=True))  # in names of arrays
ERROR = "relative_l2"
FIGURES = {"hard": "hard |residual|", "ratio": "hard/easy ratio", ERROR: "relative L2 error"}  # of an equation
SHOWN = ("|error|", "|residual|", "weight of the nearest point")
WIN = 5.0  # the documents say 5 to 10


@dataclasses.dataclass(frozen=True)
class Runs:
    """What was raced.

    Attributes:
        size: of the race on the front.
        front: `{mode: {name: (K, E, ...)}}`.
        rates: ratio at the end over η, `(R, K)`.
        plane_size: of the races on equations.
        planes: `{equation: {mode: {name: (K, E, ...)}}}`.
    """

    size: Size
    front: dict[str, History]
    rates: np.ndarray
    plane_size: Size
    planes: dict[str, dict[str, History]]


FULL, QUICK = (Size(10, 40, 50), Size(3, 10, 800)), (Size(2, 10, 50), Size(1, 4, 25))


def runs(size: Size, plane_size: Size, equations: Iterable[str] = tuple(PLANES)) -> Runs:
    """The race on the front, and those on equations."""
    planes = {name: race_runs.plane(PLANES[name], plane_size) for name in equations}
    return Runs(size, race_runs.front(size), race_runs.over_rates(size), plane_size, planes)


def page(quick: bool = False) -> Page:
    """The three-mode race: uniform points, per-point gradient norms and SA-PINN on a front, and on two equations."""
    return laid_out(runs(*QUICK, ["wave"]) if quick else runs(*FULL), quick)


def claims(found: Runs) -> dict[str, tuple[bool, str]]:
    """What the documents say of the front and of the two equations."""
    ratio = {name: float(np.median(run["front_over_rest"][:, -1])) for name, run in found.front.items()}
    uniform, over = ratio["uniform"], np.median(found.rates, axis=1)
    said = lambda name: f"{ratio[name]:.2g} against {uniform:.2g}, medians of {found.size.seeds} seeds"
    best = f"; over η from {RATES[0]:g} to {RATES[-1]:g} the least is {over.min():.2g}"
    result = {
        f"tanh: {SIGMOID}, as the document has it, has at most half of uniform's centre/outer ratio": (
            ratio[SIGMOID] <= 0.5 * uniform,
            said(SIGMOID) + best,
        ),
        f"tanh: {SQUARE}, as the authors' code has it, has at most half": (
            ratio[SQUARE] <= 0.5 * uniform,
            said(SQUARE),
        ),
        "tanh: per-point gradient norms over-correct, with a larger ratio than uniform": (
            ratio["gradient norm"] > uniform,
            said("gradient norm"),
        ),
    }
    for name, modes in found.planes.items():
        final = {m: {key: float(np.median(run[key][:, -1])) for key in FIGURES} for m, run in modes.items()}
        for mode in (SIGMOID, SQUARE):
            wins = {key: final["uniform"][key] / final[mode][key] for key in FIGURES}
            numbers = "; ".join(
                f"{words} {final['uniform'][key]:.2g} to {final[mode][key]:.2g}, a win of {wins[key]:.2g}"
                for key, words in FIGURES.items()
            )
            sentence = f"{PLANES[name].name}: the win of {mode} grows to 5 to 10 times, in any of three figures"
            result[sentence] = (max(wins.values()) >= WIN, numbers)
    return result


def laid_out(found: Runs, quick: bool = False) -> Page:
    """The page of these runs."""
    arrays: dict[str, Any] = {"x": LINE[:, 0], "exact": np.tanh(STEEPNESS * LINE[:, 0]), "steps": found.size.steps}
    arrays["points"] = np.linspace(-1, 1, tanh.points["data"])
    for name, key in KEYS.items():
        run = found.front[name]
        arrays |= spread(f"ratio_{key}", run["front_over_rest"], 0) | spread(f"u_{key}", run["u"], 0)
        arrays |= spread(f"residual_{key}", run["residual"], 0)
        arrays[f"m_{key}"] = np.median(run["m"], axis=0)
        arrays[f"error_{key}"] = np.median(run[ERROR], axis=0)
    arrays |= {"log_rates": np.log10(RATES), **spread("rates", found.rates, 1)}
    arrays["rates_uniform"] = np.full(len(RATES), arrays["ratio_uniform"][-1])
    for name, modes in found.planes.items():
        maps = np.stack([run["maps"][0] for run in modes.values()])  # of the first seed
        later = [maps[:, 1:, i] for i in range(3)]
        # Colours that stay: from the small ones to the largest, over all modes and steps but the start.
        arrays[f"{name}_range"] = [[float(np.quantile(s, 0.05)), float(s.max()) * 1.01] for s in later]
        for mode, key in KEYS.items():
            arrays[f"{name}_{key}"] = np.swapaxes(modes[mode]["maps"][0], 0, 1)
            arrays |= {f"{name}_{f}_{key}": np.median(modes[mode][f], axis=0) for f in FIGURES}
    controls = [
        slider("step", "tanh: step", found.size.steps, play=True),
        slider("later", "equations: step", found.plane_size.steps, play=True),
        choice("shown", "maps show", SHOWN, 1),
    ]
    sections = [*_front(), *(_plane(name, found.plane_size) for name in found.planes)]
    title = "Which points deserve more weight? The three-mode race"
    return Page(title, _lead(found), controls, sections, arrays, claims(found), quick)


def _lead(found: Runs) -> str:
    return (
        f"<p>A network (tanh, {tanh.network['depth']} layers of {tanh.network['width']}) learns tanh({STEEPNESS:g}x) "
        f"from {tanh.points['data']} equidistant points, of which few lie in the front, |x| &lt; {FRONT:g}. "
        "<em>Uniform</em>: every point has weight 1. <em>Gradient norm</em>: w<sub>i</sub> = "
        "max<sub>j</sub> g<sub>j</sub> / g<sub>i</sub>, with g<sub>i</sub> the length of the gradient of a point's "
        "residual. <em>SA-PINN</em>: a point's weight m(γ<sub>i</sub>) ascends the loss that the network descends; "
        "with a sigmoid and γ = 0 at the start, as the document has it, and with γ², γ = 1 and Adam, as in the "
        "authors' code.</p><p class='soft'>Press <em>Play</em>. On the front, lines are medians of "
        f"{found.size.seeds} seeds, bands go from the least to the largest, and {found.size.steps[-1]} steps are "
        f"Adam's at 1e-3. The centre/outer ratio is the mean |residual| in the front over that elsewhere.</p>"
    )


def _front() -> list[Section]:
    each = lambda name: [
        curve(mode, "x", f"{name}_{key}[step]", band=True, colour=i, dash=i)
        for i, (mode, key) in enumerate(KEYS.items())
    ]
    ratios = [curve(mode, "steps", f"ratio_{key}", band=mode != "gradient norm") for mode, key in KEYS.items()]
    exact = curve(f"tanh({STEEPNESS:g}x)", "x", "exact", colour="ink", dash=5)
    rates = [curve("sigmoid", "log_rates", "rates", band=True, colour=2, dash=0)]
    rates.append(curve("uniform", "log_rates", "rates_uniform", colour=0, dash=1))
    bars = [
        {
            "kind": "bars",
            "title": f"Weights: {mode}",
            "x": "x",
            "at": "points",
            "heights": f"m_{key}[step]",
            "colour": i,
            **({"range": [0, 1]} if mode == SIGMOID else {}),
        }
        for i, (mode, key) in enumerate(KEYS.items())
        if mode != "uniform"
    ]
    columns = ["", "centre/outer ratio", "relative L2 error"]
    table = [[mode, f"ratio_{key}[step]", f"error_{key}[step]"] for mode, key in KEYS.items()]
    return [
        Section(
            "The front",
            "",
            [
                plot("Fit", "x", "u", [exact, *each("u")], range=[-1.5, 1.5]),
                plot("|residual|", "x", "", each("residual"), logy=True, range=[1e-4, 2]),
            ],
            "two",
        ),
        Section("The weights m(γ) of the points", "<p>Medians over the seeds.</p>", bars, "three"),
        Section(
            "Centre over outer",
            "<p>A sigmoid that starts at ½ can at most double a point's weight, and where the ascent is fast every "
            "point gets there. γ² has no such bound.</p>",
            [
                plot("The ratio over the steps", "step", "ratio", ratios, cursor="step"),
                plot("The ratio at the end, over the ascent's η", "log₁₀ η", "ratio", rates),
                {"kind": "table", "title": "At this step", "columns": columns, "table": table},
            ],
        ),
    ]


def _plane(name: str, size: Size) -> Section:
    setup, problem = PLANES[name], PLANES[name].problem
    low, high = problem.grid[:, 1].min(), problem.grid[:, 1].max()
    maps: list[Figure] = [
        {
            "kind": "heat",
            "title": mode,
            "rows": f"{name}_{key}[shown,later]",
            "range": f"{name}_range[shown]",
            "xrange": [0, 1],
            "yrange": [float(low), float(high)],
            "x": "t",
            "y": "x",
            "log": True,
        }
        for mode, key in KEYS.items()
    ]
    table = [[mode, *(f"{name}_{figure}_{key}[later]" for figure in FIGURES)] for mode, key in KEYS.items()]
    numbers = ", ".join(f"{count} {term}" for term, count in setup.points.items())
    text = (
        f"<p>{problem.title}. Smaller than in the papers: a modified MLP of {NETWORK['depth']} layers of "
        f"{NETWORK['width']}, points {numbers}, {size.steps[-1]} steps of Adam from 2e-3 along a cosine, "
        f"{size.seeds} seed{'s' * (size.seeds > 1)}. The conditions have the fixed weight 100, and only the "
        "equation's points are weighed, so this race is about points. The hard part is the tenth of the map where a "
        "mode's |residual| is largest, the easy part the rest. Maps are of the first seed, numbers are medians.</p>"
    )
    figures = [*maps, {"kind": "table", "title": "At this step", "columns": ["", *FIGURES.values()], "table": table}]
    return Section(setup.name, text, figures, "three")
