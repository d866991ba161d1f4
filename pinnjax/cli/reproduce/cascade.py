"""Levels: a network that grows while it trains, against one that has its full width from the start.

The coarse levels are quick, and the field goes on exactly (`pinnjax.nn.grown`). Two questions, on two problems. Does a
cascade reach the error of the full network sooner? The Klein-Gordon equation by self-scaled Broyden, whose step takes
the square of the parameters, 10, 20 and 40 units wide. And what should go on with the field, the balancer's memory and
the optimiser's? The oscillator by Adam and learning-rate annealing.

Where narrow networks do not see the solution, levels are lost time: on the Helmholtz equation by Adam, 32, 64 and 128
units wide, a cascade ended at 1.9e-2 after 53 s; 128 units had that error after some 30 s, and 7e-3 after 99 s
(one seed, 1500 steps a level and 4500 steps). And a width that is just enough needs no levels: 20 units alone came to
2.4e-5 on the Klein-Gordon equation while 40 came to 2.0e-4 (one seed, 96 and 135 s).

References:
  Chen, Goodfellow, Shlens, `Net2Net: accelerating learning via knowledge transfer
  <https://arxiv.org/abs/1511.05641>`_, ICLR 2016 (growth that preserves the function).
"""

import dataclasses
import functools
from collections.abc import Sequence
from typing import Any

from pinnjax import nn
from pinnjax.cli.reproduce import curves
from pinnjax.cli.reproduce.study import Claims, Results, Run, Study
from pinnjax.problems import Recipe, harmonic, klein_gordon
from pinnjax.term_weights import lr_annealing

WIDTHS = (10, 20, 40)
LEVELS = (300, 1000, 100)  # steps of Broyden at each width,
ALONE = 600  # and at the last one alone
LEVEL = 3000  # steps of Adam at each width
KEPT = {
    "balancer reset": (),
    "balancer kept": ("term_weights",),
    "balancer and optimiser kept": ("term_weights", "optimizer"),
}


def _of_width(model: Any, width: int) -> Any:
    return lambda **network: model(**{**network, "width": width})


def second_order(widths: Sequence[int], steps: Sequence[int]) -> Recipe:
    """Adam at the first width, then self-scaled Broyden at each."""
    whole = klein_gordon.recipes["second_order"]
    first = whole.phases[0]
    recipe = dataclasses.replace(first, model=_of_width(nn.ModifiedMLP, widths[0]))
    for i, (width, length) in enumerate(zip(widths, steps, strict=True)):
        grown = _of_width(nn.ModifiedMLP, width) if i else None
        summary = f"SSBroyden, {length} steps, width {width}"
        recipe = dataclasses.replace(whole, before=recipe, grown=grown, steps=length, summary=summary)
    return recipe


def first_order(widths: Sequence[int], steps: int, keeps: tuple[str, ...] = ()) -> Recipe:
    """Adam at each width."""
    recipe = None
    for width in widths:
        options: dict[str, Any] = {
            "schedule": lambda _: 2e-3,
            "steps": steps,
            "term_weights": lr_annealing("pde"),
            "summary": f"Adam, {steps} steps, width {width}, {' and '.join(keeps) or 'nothing'} kept",
        }
        network = _of_width(nn.MLP, width)
        larger = {"grown": network, "before": recipe, "keeps": keeps}
        recipe = Recipe(**options, **({"model": network} if recipe is None else larger))
    assert recipe is not None
    return recipe


def claims(results: Results) -> Claims:
    """By the medians over the seeds."""
    error = {label: result.median() for label, result in results.items()}
    seconds = {label: result.seconds for label, result in results.items()}
    levels, alone = "Klein-Gordon, 10, 20, 40", "Klein-Gordon, 40"
    return {
        "Klein-Gordon: three levels end at no more than the error of the last one alone": error[levels] <= error[alone],
        "Klein-Gordon: in less time": seconds[levels] < seconds[alone],
    }


STUDY = Study(
    name="cascade",
    title="A network that grows, against one of full width: the Klein-Gordon equation, and an oscillator",
    source="no table of a paper",
    runs={
        "Klein-Gordon, 10, 20, 40": Run(klein_gordon, second_order(WIDTHS, LEVELS)),
        "Klein-Gordon, 40": Run(klein_gordon, second_order(WIDTHS[-1:], (ALONE,))),
        "oscillator, 40": Run(harmonic, first_order(WIDTHS[-1:], len(WIDTHS) * LEVEL)),
        **{f"oscillator, {name}": Run(harmonic, first_order(WIDTHS, LEVEL, keeps)) for name, keeps in KEPT.items()},
    },
    claims=claims,
    quick_claims=claims,
    figures=functools.partial(curves.by_problem, problems=("Klein-Gordon", "oscillator")),
    quick=1.0,
)
