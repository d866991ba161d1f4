"""Scales: how large the field has to be, from what the residuals ask of it, and what that does to each residual."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from pinnjax.terms import bridge, evaluation, names

PyTree = Any
DECADES = np.arange(-12.0, 12.5, 0.5)


class Scales(NamedTuple):
    """What `scales` finds.

    Attributes:
        field: s, the size of the field, in its units, `()` or `(m,)`.
        residuals: `{name: root mean square of r[s v] - r[0]}`, of both v, in each residual's units: what an error of
            the size of the field itself does to it. 1 where it does nothing.
        zero: `{name: root mean square of r[0]}`, what the field 0 leaves.
    """

    field: Float[np.ndarray, "*m"]
    residuals: dict[str, float]
    zero: dict[str, float]


def scales(
    terms: Mapping[str, Any], u: Callable[[Array], Array], batch: Mapping[str, PyTree], components: int | None = None
) -> Scales:
    """The size s at which a field s v changes a residual as much as the field 0 leaves of it; v has size 1 everywhere.

    v = 1 ± u / rms(u), and sizes of residuals are over both signs: values are of size one or more at every point, also
    where one of the two is zero, and slopes are those of u. Each term that u = 0 does not satisfy asks for an s, and
    the largest is taken. A component that no term asks for gets the size at which
    it matters as much as the others do (a pressure, of a velocity), or 1 where nothing asks. Residuals need not be
    linear in the field.

    Args:
        terms: `{name: residual function}`.
        u: a field that varies, such as a network before training.
        batch: `{term: points}`; some hundred are enough.
        components: m of a vector field `(m,)`, each of which gets a size of its own; None for a scalar.

    Returns:
        The scales. A residual over its entry in `residuals` is dimensionless: of the size of the relative error that
        would cause it.

    Cost: the compilation of the residuals, and some 50 evaluations a component.

    Example:
        >>> terms = {"data": lambda u, x: u(x) - 300.0, "bc": lambda u, x: 1e3 * u(x)}
        >>> batch = {"data": jnp.linspace(0, 1, 5)[:, None], "bc": jnp.zeros((1, 1))}
        >>> found = scales(terms, lambda x: 7 * x[0], batch)
        >>> print(f"{found.field:.0f} {found.residuals['bc']:.0f} {found.zero['bc']:.0f}")
        202 202260 0
    """
    places = [x for x in map(names.places, batch.values()) if x is not None]
    if not places:
        raise ValueError("scales: no term has points (n, d); expected some, at which the field has a size")
    values = jax.jit(lambda places: jnp.concatenate([jax.vmap(u)(x) for x in places]))(places)
    rms = jnp.sqrt(jnp.mean(values**2, axis=0))
    m = 1 if components is None else components

    @jax.jit
    def evaluate(scale: Array) -> dict[str, Array]:
        size = scale[0] if components is None else scale

        def of(sign: Array) -> dict[str, Array]:
            unit = lambda x: 1 + sign.astype(x.dtype) * u(x) / jnp.where(rms > 0, rms, 1)
            definition, params, _ = bridge.of_field(bridge.Derived(lambda x: size.astype(x.dtype) * unit(x), u))
            return evaluation.residuals(terms, definition)(params, batch)

        return {name: jnp.concatenate(r) for name, r in jax.vmap(of)(jnp.array([1.0, -1.0])).items()}

    def needed(component: int, known: np.ndarray) -> list[float]:
        """For each residual that is not zero with what is known, the size of this component that changes it as much."""
        base = evaluate(jnp.asarray(known))
        goal = {name: _size(r) for name, r in base.items()}
        changes: dict[str, list[float]] = {name: [] for name in goal}
        for decade in DECADES:
            moved = evaluate(jnp.asarray(known + 10.0**decade * (np.arange(m) == component)))
            for name, r in moved.items():
                changes[name].append(_size(r - base[name]))
        return [_crossing(changes[name], goal[name]) for name in goal if goal[name] > 0]

    found = np.zeros(m)
    for _ in range(2):  # a second time for components that only others ask for
        asked = {i: [s for s in needed(i, found) if np.isfinite(s)] for i in range(m) if found[i] == 0}
        for i, sizes in asked.items():
            found[i] = max(sizes, default=0.0)
    found[found == 0] = 1.0
    zero, scaled = evaluate(jnp.zeros(m)), evaluate(jnp.asarray(found))
    change = {name: _size(r - zero[name]) for name, r in scaled.items()}
    return Scales(
        found[0] if components is None else found,
        {name: size if size > 0 and np.isfinite(size) else 1.0 for name, size in change.items()},
        {name: _size(r) for name, r in zero.items()},
    )


def _size(r: Array) -> float:
    """Root of the mean square over the points; of a vector residual, of its norm."""
    values = np.asarray(r, float).reshape(len(r), -1)
    with np.errstate(over="ignore"):  # an exponential of a large field: infinite, and so it is taken
        return float(np.sqrt(np.mean(np.sum(values**2, axis=1))))


def _crossing(values: list[float], goal: float) -> float:
    """Where a growing function of 10**DECADES reaches the goal, along the power law between two of them."""
    known = np.array(values)
    reached = np.flatnonzero(~(known < goal))  # what overflows has reached it
    if not len(reached):
        return np.inf
    i = int(reached[0])
    if i == 0 or not np.isfinite(known[i]) or known[i - 1] <= 0:
        return float(10.0 ** DECADES[i])
    share = np.log(goal / known[i - 1]) / np.log(known[i] / known[i - 1])
    return float(10.0 ** (DECADES[i - 1] + share * (DECADES[i] - DECADES[i - 1])))
