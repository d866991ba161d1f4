"""`pinnjax.diagnose`: your own residuals in, what is wrong and the line to change out."""

from collections.abc import Callable, Mapping
from typing import Any

import optax
from jaxtyping import Array

from pinnjax.doctor.diagnosis import Diagnosis
from pinnjax.doctor.probe import probe
from pinnjax.doctor.rules import RULES, no_progress, nonfinite, unsolved

PyTree = Any


def diagnose(
    terms: Mapping[str, Any],
    model: Any,
    batch: Mapping[str, PyTree] | None = None,
    *,
    optimizer: optax.GradientTransformation | None = None,
    steps: int = 1000,
    fresh: Mapping[str, PyTree] | None = None,
    exact: Callable[[Array], Array] | None = None,
    time: int | None = None,
    key: Any = None,
    **options: Any,
) -> Diagnosis:
    """Train for a short while, measure what goes wrong, name it, and say which line to change.

    Args:
        terms: as in `pinnjax.train_step`.
        model: as in `train.init`; it is left as it is.
        batch: as in `train.init`.
        optimizer: as in `pinnjax.train_step`; Adam with a learning rate of 1e-3 when None.
        steps: of training. Pathologies show early; a thousand steps are usually enough, and below 500 what does not
            fall is not asked.
        fresh: `{term: points}` that training does not see, for the gap between them and the training points.
        exact: the exact solution, a field, where there is one: is each condition the one that it satisfies, and has
            training come near it? Where the terms read coefficients from the model (`u.nu`), a module that has them.
        time: index of the coordinate that is time, where there is one: are early times learnt first?
        key: for a sampler.
        **options: of `pinnjax.train_step`: `term_weights`, `point_weights`, `sampler`, `chunk`.

    Returns:
        The diagnosis: print it, or read its `verdict` and its `findings`, root causes first. A run without a finding
        is one that came near a solution. What could not be measured is in `unmeasured`.

    Raises:
        TypeError, ValueError: as `pinnjax.train_step` does.

    Cost: `steps` steps, and the compilation of some five programs.

    Example:
        >>> import jax, jax.numpy as jnp, pinnjax as pj
        >>> terms = {
        ...     "pde": lambda u, x: 1e3 * (pj.diff(u, 0, 0)(x) + jnp.sin(x[0])),
        ...     "bc": lambda u, x: u(x) - 1.0,
        ... }
        >>> model = pj.nn.MLP(1, "scalar", width=16, depth=2, rngs=pj.nn.Rngs(0))
        >>> batch = {"pde": jnp.linspace(0, 3, 32)[:, None], "bc": jnp.array([[0.0], [3.0]])}
        >>> found = pj.diagnose(terms, model, batch, steps=200)
        >>> print(found.pathology, "->", found.findings[0].remedy)
        loss-balance crisis -> term_weights=pj.term_weights.lr_annealing("pde")
    """
    evidence = probe(
        terms,
        model,
        batch,
        optimizer=optax.adam(1e-3) if optimizer is None else optimizer,
        steps=steps,
        fresh=fresh,
        exact=exact,
        time=time,
        key=key,
        **options,
    )
    checks = tuple(nonfinite(evidence))
    if not any(check.found for check in checks):  # else the other measurements mean nothing
        checks += tuple(check for rule in RULES for check in rule(evidence))
        for last in (no_progress, unsolved):  # no reason but the fact
            if not any(check.found for check in checks):
                checks += tuple(last(evidence))
    return Diagnosis(checks, evidence.unmeasured, evidence)
