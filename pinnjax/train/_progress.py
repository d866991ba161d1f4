"""What a person sees of a run while it goes on: the bar, its line of numbers, and single lines beside it."""

import sys
from collections.abc import Mapping
from typing import Any

import jax
import numpy as np

CRISIS = 1e2  # gradients of two terms farther apart than this: the rule that the source documents give


def bar(total: int, shown: bool | None) -> Any:
    """A progress bar over steps; None shows it on terminals."""
    import tqdm.auto  # only who trains needs it

    shown = shown if jax.process_index() == 0 else False  # of several processes the first one speaks
    return tqdm.auto.tqdm(total=total, unit="step", disable=None if shown is None else not shown)


def skip(shown: Any, steps: int) -> None:
    """Move a bar over steps that were done earlier, which say nothing about the speed."""
    if not shown.disable:
        shown.n, shown.initial, shown.last_print_n = (x + steps for x in (shown.n, shown.initial, shown.last_print_n))
        shown.refresh()


def shorten(shown: Any, steps: int) -> None:
    """Take steps out of a bar that will not be done."""
    if not shown.disable and steps:
        shown.total -= steps
        shown.refresh()


def say(text: str) -> None:
    """One line on stderr, above a bar if there is one."""
    import tqdm

    if jax.process_index() == 0:
        tqdm.tqdm.write(text, file=sys.stderr)


def line(metrics: Mapping[str, Any], errors: Mapping[str, Any]) -> dict[str, str]:
    """The numbers beside the bar: loss, errors, and each term's ‖∇L_t‖ and weight λ_t; medians over seeds.

    Example:
        >>> print(line({"loss": 2.0, "grad_norm/pde": np.array([1.0, 3.0, 9.0]), "weight/pde": 1.0}, {"error": 0.5}))
        {'loss': '2.00e+00', 'error': '5.00e-01', '|∇L_pde|': '3.0e+00', 'λ_pde': '1'}
    """
    found = {name: f"{np.median(value):.2e}" for name, value in {"loss": metrics["loss"], **errors}.items()}
    norms, weights = _of(metrics, "grad_norm/"), _of(metrics, "weight/")
    found |= {f"|∇L_{term}|": f"{value:.1e}" for term, value in norms.items()}
    return found | {f"λ_{term}": f"{value:.3g}" for term, value in weights.items()}


def crisis(metrics: Mapping[str, Any]) -> str | None:
    """A sentence where two terms' gradients, weighed as the step weighs them, differ by more than a hundred times.

    Gradients that are zero or not finite are left out: a term that is met exactly has none.

    Example:
        >>> print(crisis({"grad_norm/pde": 300.0, "weight/pde": 1.0, "grad_norm/bc": 2.0, "weight/bc": 1.0}))
        loss-balance crisis: the gradient of 'pde' (λ |∇L| = 3.0e+02) is 1.5e+02 times that of 'bc' (2.0e+00)
        >>> crisis({"grad_norm/pde": 300.0, "weight/pde": 1.0, "grad_norm/bc": 2.0, "weight/bc": 10.0})
    """
    weights = _of(metrics, "weight/")
    norms = {term: abs(weights.get(term, 1.0)) * value for term, value in _of(metrics, "grad_norm/").items()}
    norms = {term: value for term, value in norms.items() if np.isfinite(value) and value > 0}
    if len(norms) < 2:
        return None
    high, low = max(norms, key=norms.__getitem__), min(norms, key=norms.__getitem__)
    if norms[high] <= CRISIS * norms[low]:
        return None
    return (
        f"loss-balance crisis: the gradient of {high!r} (λ |∇L| = {norms[high]:.1e}) is {norms[high] / norms[low]:.1e} "
        f"times that of {low!r} ({norms[low]:.1e})"
    )


def _of(metrics: Mapping[str, Any], prefix: str) -> dict[str, float]:
    return {name.removeprefix(prefix): float(np.median(v)) for name, v in metrics.items() if name.startswith(prefix)}
