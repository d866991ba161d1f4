"""Phases of learning: signal and noise, directions of gradients, saturation, the loss's landscape and the way on it."""

from typing import Any

import numpy as np

from pinnjax.cli.pages import landscape
from pinnjax.cli.pages.page import Page, Section
from pinnjax.cli.pages.parts import choice, curve, plot, slider
from pinnjax.cli.pages.phases_runs import Watched, claims, runs
from pinnjax.cli.reproduce import phases as study
from pinnjax.diagnostics import Phases

AUTHORS = (
    "The authors released the histories of six runs (github.com/soanagno/diffusion-equilibrium). Read by the same "
    "rule, <code>pinnjax.diagnostics.phases</code> at every hundredth step, four of them reach total diffusion, and "
    "the error there and at the end is: Allen-Cahn 0.99 and 0.029 (from step 53200 on), with RBA 0.51 and 0.0032 "
    "(10800); Helmholtz 2.2 and 0.036 (12300); cavity with RBA 0.62 and 0.056 (23700). At the start it is 0.9 to 1.1, "
    "so most of the fall comes after. Of the other two, Helmholtz with RBA starts with an SNR above 1, which only "
    "falls, and the cavity without RBA keeps one above 1 and fails. In none of them does the SNR stay to the end: it "
    "falls again, and the error goes on falling."
)
ACTIVATIONS = tuple(f"layer {i + 1}" for i in range(study.NETWORK["depth"]))


def page(quick: bool = False) -> Page:
    """Phases of learning: signal and noise, directions of gradients, saturation, and the landscape of the loss."""
    return laid_out(runs(20, 200, ["Helmholtz"], share=16) if quick else runs(), quick)


def laid_out(found: dict[str, Watched], quick: bool = False) -> Page:
    """The page of these runs."""
    results = [run.result for run in found.values()]
    steps = results[0].steps
    each = lambda get: [get(result) for result in results]
    arrays: dict[str, Any] = {"steps": steps, "parts": np.arange(1, study.PARTS + 1)}
    arrays["error"] = each(lambda r: r.history["relative_l2"][:, 0])
    arrays["snr"] = each(lambda r: r.history["snr"][:, 0])
    arrays["smooth"] = each(lambda r: study.smooth(r.history["snr"])[:, 0])
    arrays["even"] = each(lambda r: study.smooth(r.history["homogeneity"])[:, 0])
    arrays["cosines"] = each(lambda r: np.sort(r.history["cosines"][:, 0], axis=1))
    arrays["onset"] = each(lambda r: study.regimes(r)[0].total_diffusion)
    arrays["later"] = each(lambda r: float(study.around_total_diffusion(r)["share"][0]))
    for i, name in enumerate(ACTIVATIONS):
        arrays[name.replace(" ", "_")] = each(lambda r, i=i: r.history["saturation"][:, 0, i])
    arrays |= _shades([study.regimes(result)[0] for result in results], steps)
    for i, name in enumerate(("plain", "scaled")):
        slices = [run.slices[i] for run in found.values()]
        arrays[name] = [s.loss for s in slices]
        arrays[f"{name}_reach"] = [[-s.reach, s.reach] for s in slices]
        arrays[f"{name}_ratio"] = [s.steepest / s.mean for s in slices]
    arrays["colours"] = [
        [run.slices[0].loss.min(), landscape.RISE * run.slices[0].loss.min()] for run in found.values()
    ]
    ways = [run.trajectory for run in found.values()]
    arrays |= {"way": [w.loss for w in ways], "way_x": [w.x for w in ways], "way_y": [w.y for w in ways]}
    arrays |= {"at_x": [w.place[:, 0] for w in ways], "at_y": [w.place[:, 1] for w in ways]}
    arrays |= {"way_colours": [[w.loss.min(), w.loss.max()] for w in ways], "share": [w.share for w in ways]}
    controls = [choice("run", "run", list(found), 1), slider("step", "step", steps.tolist(), play=True)]
    title = "Phases of learning: do signal and noise of the gradient mark the fall of the error?"
    return Page(title, _lead(steps), controls, _sections(), arrays, claims(found), quick)


def _shades(regimes: list[Phases], steps: np.ndarray) -> dict[str, list]:
    """From where to where each regime goes; None where there is none."""
    end = float(steps[-1])
    first = [r.diffusion if r.diffusion is not None else end for r in regimes]
    last = [r.total_diffusion if r.total_diffusion is not None else end for r in regimes]
    return {
        "fitting_from": [0.0] * len(regimes),
        "fitting_to": first,
        "diffusion_from": [r.diffusion for r in regimes],
        "diffusion_to": last,
        "total_from": [r.total_diffusion for r in regimes],
        "total_to": [end] * len(regimes),
    }


def _lead(steps: np.ndarray) -> str:
    setups = "; ".join(
        f"{name}: {', '.join(f'{n} {t}' for t, n in points.items())}" for name, (_, points, _) in study.SETUPS.items()
    )
    width, depth = study.NETWORK["width"], study.NETWORK["depth"]
    return (
        "<p>Cut the equation's points into parts, take the gradient of each, and ask whether they agree: the length of "
        "their mean over that of their deviation is the signal-to-noise ratio (SNR). The "
        "paper (Anagnostopoulos et al. 2024) sees three phases: <em>fitting</em>, parts agree; <em>diffusion</em>, "
        "they do not; <em>total diffusion</em>, the SNR rises abruptly, the residuals are even, and the error falls "
        "fastest.</p>"
        f"<p class='soft'>The recipe of the authors' code, smaller: tanh, {depth} layers of {width} (theirs 128), "
        f"{setups} points (theirs 25600), {study.PARTS} parts of 256 as theirs, raw gradients, every weight 1, "
        f"Adam from 1e-3, RBA that starts at 0, {steps[-1]} steps (theirs 300000), the first seed. "
        "<code>pinnjax reproduce phases</code> has three seeds.</p>"
        f"<p class='soft'>{AUTHORS}</p>"
    )


def _sections() -> list[Section]:
    one = lambda label, name, **look: curve(label, "steps", f"{name}[run]", **look)
    over = lambda title, y, curves, **look: plot(title, "step", y, curves, cursor="step", **look)
    shades = [
        {"label": label, "from": f"{name}_from[run]", "to": f"{name}_to[run]", "colour": colour}
        for name, label, colour in (
            ("fitting", "fitting", 5),
            ("diffusion", "diffusion", 4),
            ("total", "total diffusion", 2),
        )
    ]
    snr = [one("each look", "snr", thin=True, colour="ink", dash=0), one("smoothed", "smooth", colour=0, dash=0)]
    layers = [one(name, name.replace(" ", "_")) for name in ACTIVATIONS]
    slice_ = lambda name, title, x, y: {
        "kind": "heat",
        "title": title,
        "rows": f"{name}[run]",
        "range": "colours[run]",
        "xrange": f"{name}_reach[run]",
        "yrange": f"{name}_reach[run]",
        "x": x,
        "y": y,
        "log": True,
        "label": "loss",
    }
    way = {
        "kind": "heat",
        "title": "The way there, on the plane of its two main directions",
        "rows": "way[run]",
        "range": "way_colours[run]",
        "xrange": "way_x[run]",
        "yrange": "way_y[run]",
        "x": "first direction",
        "y": "second direction",
        "log": True,
        "label": "loss",
        "trails": [{"x": "at_x[run]", "y": "at_y[run]", "cursor": "step"}],
    }
    numbers = [
        ["steepest over mean curvature", "plain_ratio[run]"],
        ["the same after Adam's scaling", "scaled_ratio[run]"],
        ["share of the way in the plane", "share[run]"],
        ["total diffusion begins at step", "onset[run]"],
        ["share of the error's fall after that", "later[run]"],
    ]
    bars = {
        "kind": "bars",
        "title": "Cosine of each part's gradient with the mean, in order",
        "x": "part",
        "at": "parts",
    }
    return [
        Section(
            "The phases",
            "<p>Adam bounces from wall to wall of a valley: parts agree on one wall, and cancel on the floor. So "
            "single looks jump, and the smoothed line is their geometric mean over neighbours. A larger part of the "
            "points has less noise, so what counts as O(1) depends on the batch.</p>",
            [
                over("Relative L2 error", "error", [one("error", "error")], logy=True),
                over("Signal to noise of the gradient", "SNR", snr, logy=True, range=[1e-3, 100], shades=shades),
                over(
                    "Homogeneity of the residuals", "(mean |r|)² / mean r²", [one("homogeneity", "even")], range=[0, 1]
                ),
                {**bars, "heights": "cosines[run,step]", "range": [-1, 1]},
            ],
            "two",
        ),
        Section(
            "Saturation, layer by layer",
            "<p>The share of tanh units that have lost their slope, at the equation's points.</p>",
            [over("Saturated units", "share", layers)],
            "two",
        ),
        Section(
            "The landscape of the loss",
            "<p>Left: the loss around the end of training, along the steepest direction and a random one of the same "
            "length. Then the same in the coordinates in which Adam's step is gradient descent, θ = v<sup>-1/4</sup>φ. "
            "A valley shows as stripes, a bowl as rings.</p>",
            [
                slice_("plain", "As gradient descent sees it", "steepest direction", "a random one"),
                slice_("scaled", "After Adam's scaling", "steepest direction", "a random one"),
                way,
                {"kind": "table", "title": "Numbers", "table": numbers},
            ],
            "two",
        ),
    ]
