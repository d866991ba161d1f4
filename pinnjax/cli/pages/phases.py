"""Phases of learning: signal and noise, directions of gradients, saturation, the loss's landscape and the way on it."""

from typing import Any

import numpy as np

from pinnjax.cli.pages import landscape
from pinnjax.cli.pages.page import Page, Section
from pinnjax.cli.pages.parts import choice, curve, plot, slider
from pinnjax.cli.pages.phases_runs import HIDDEN, Watched, claims, runs
from pinnjax.cli.reproduce import phases as study
from pinnjax.diagnostics import Phases

ACTIVATIONS = ("first encoder", "second encoder", *(f"layer {i + 1}" for i in range(HIDDEN)))


def page(quick: bool = False) -> Page:
    """Phases of learning: signal and noise, directions of gradients, saturation, and the landscape of the loss."""
    return laid_out(runs(20, 200, ["Helmholtz"]) if quick else runs(), quick)


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
    arrays["fall"] = each(lambda r: study.fastest_fall(r)[0])
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
        f"{name}: {', '.join(f'{n} {t}' for t, n in points.items())}, Adam at {rate:g}"
        for name, (_, points, _, rate) in study.SETUPS.items()
    )
    return (
        "<p>Cut the equation's points into parts, take the gradient of each, and ask whether they agree: the length of "
        "their mean over that of their deviation is the signal-to-noise ratio (SNR). The "
        "paper (Anagnostopoulos et al. 2024) sees three phases: <em>fitting</em>, parts agree; <em>diffusion</em>, "
        "they do not; <em>total diffusion</em>, the SNR rises abruptly, the residuals are even, and the error falls "
        "fastest.</p>"
        f"<p class='soft'>The paper's problems, a smaller set-up of ours: a modified MLP, {setups}; "
        f"{study.PARTS} parts, raw gradients, {steps[-1]} steps, the first seed. Its own network and batches may "
        "behave otherwise. "
        "<code>pinnjax reproduce phases</code> has three seeds.</p>"
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
        ["the error falls fastest near step", "fall[run]"],
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
            "single looks jump, and the smoothed line is their geometric mean over neighbours. The error may fall more "
            "than once; its fastest fall is sought after the first tenth of the run.</p>",
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
