"""One equation on several subdomains, each with a network of its own: terms and points of a decomposed problem.

References:
  Jagtap, Kharazmi, Karniadakis, `Conservative physics-informed neural networks on discrete domains for conservation
  laws <https://doi.org/10.1016/j.cma.2020.113028>`_, Computer Methods in Applied Mechanics and Engineering 365, 2020:
  cPINN, continuity of the flux.

  Jagtap, Karniadakis, `Extended physics-informed neural networks (XPINNs)
  <https://doi.org/10.4208/cicp.OA-2020-0164>`_, Communications in Computational Physics 28, 2020: continuity of the
  equation's residual, for any equation.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from pinnjax import checks, nn, sampling
from pinnjax.derivatives import directional
from pinnjax.terms import bridge

PyTree = Any
Residual = Callable[[Any, Any], Any]
Flux = Callable[[Any, Array, Array], Array]
CONDITIONS = ("value", "average", "flux", "residual")


class Decomposed(NamedTuple):
    """An equation on subdomains, as `decomposed` makes it.

    Attributes:
        terms: `{name: residual function}`, for a model that is a `pinnjax.nn.Subdomains`.
        draw: `draw(key, dtype=None) -> {name: points}`, pure and of fixed shapes: for a batch, or for
            `pinnjax.sampling.resample`.
    """

    terms: dict[str, Residual]
    draw: Callable[..., dict[str, PyTree]]


def decomposed(
    pde: Residual | Sequence[Residual],
    subdomains: Sequence[sampling.Domain],
    *,
    coefficient: Any = None,
    flux: Flux | Sequence[Flux] | None = None,
    conditions: Sequence[str] = ("value", "flux"),
    inside: int | Sequence[int] = 1000,
    on_interface: int = 100,
    interfaces: Sequence[sampling.Interface] | None = None,
) -> Decomposed:
    """The terms of an equation on subdomains: its residual in each of them, and conditions where two of them touch.

    With u_i the field of subdomain i and n the unit normal from i to j > i these are `pde/i`, the equation for u_i in
    Ω_i, and for the interface Γ of i and j the `conditions`:

    * `interface/i-j/value`: u_i - u_j.
    * `interface/i-j/average`: u_i - {{u}} and u_j - {{u}}, where {{u}} = (u_i + u_j) / 2, as XPINN writes it: half the
      loss of "value".
    * `interface/i-j/flux`: F_i(u_i) · n - F_j(u_j) · n, cPINN's condition; the flux is k_i ∂u_i/∂n where a coefficient
      is given.
    * `interface/i-j/residual`: the equation's residual for u_i less that for u_j, XPINN's condition.

    They are terms like others: conditions at the boundary join them, with the whole field u(x), and rules, monitors
    and the doctor take them by name. `lr_annealing("pde")` weighs against the equation in all subdomains, and
    `fixed({"interface/0-1": 10.0})` both conditions of an interface. Second-order equations need "flux": where the
    equation holds on both sides its residual is continuous anyway, and with the value alone the slope is left open.
    First-order equations need "value" alone.

    Weights decide where a coefficient jumps. For k = 1 and 1000 in two layers (networks of 2 x 16 units, float64, one
    seed, 3000 steps of Adam) the relative L2 error is 1.7 with equal weights, 0.5 with 20 for all conditions, 0.7 with
    `lr_annealing("pde/0")`, 1.6 with `gradnorm()`, 6e-3 with weights chosen by the powers of k, and 9e-4 with `ntk()`.
    400 steps of `ssbroyden` after Adam, with the weights held, end at 2e-5 (equal weights), and at 1e-8 to 1e-5 with
    others but `ntk`, which was not tried so.

    Args:
        pde: residual function of one point; or one for each subdomain, where coefficients jump.
        subdomains: a `pinnjax.sampling.Box` for each; or any domains, with `interfaces`.
        coefficient: k, a number, or a function of one point, for the flux k ∂u/∂n; or one for each subdomain.
        flux: F(u) · n as a function of (u, x, normal), in place of a coefficient; or one for each subdomain.
        conditions: names above, at every interface.
        inside: points in each subdomain; or a number for each.
        on_interface: points on each interface; in one dimension an interface has one.
        interfaces: where the subdomains touch; found for boxes.

    Returns:
        The terms, and a function that draws their points. "flux" has points `(x, normals)`, the others x.

    Raises:
        TypeError, ValueError: when boxes overlap or do not touch, normals are wrong, a condition is unknown, or "flux"
            is asked for and neither or both of coefficient and flux are given.

    Example:
        >>> import pinnjax as pj
        >>> layers = [pj.sampling.Box((0.0,), (1.0,)), pj.sampling.Box((1.0,), (2.0,))]
        >>> terms, draw = pj.subdomains.decomposed(
        ...     lambda u, x: pj.diff(u, 0, 0)(x), layers, coefficient=[1.0, 1000.0], inside=5
        ... )
        >>> print({name: jax.tree.leaves(x)[0].shape for name, x in draw(jax.random.key(0)).items()})
        {'pde/0': (5, 1), 'pde/1': (5, 1), 'interface/0-1/value': (1, 1), 'interface/0-1/flux': (1, 1)}
    """
    subdomains = list(subdomains)
    count = len(subdomains)
    if interfaces is None:
        interfaces = sampling.interfaces(subdomains)  # type: ignore[arg-type]  # it says what is no box
    _check(count, interfaces, conditions)
    equations = _each("pde", pde, count)
    fluxes = _fluxes(coefficient, flux, count) if "flux" in conditions else ()
    numbers = [int(n) for n in _each("inside", inside, count)]
    terms: dict[str, Residual] = {f"pde/{i}": _on(i, equations[i]) for i in range(count)}
    for one in interfaces:
        made = _conditions(one.first, one.second, equations, fluxes)
        terms |= {f"interface/{one.name}/{condition}": made[condition] for condition in conditions}

    def draw(key: Array, dtype: Any = None) -> dict[str, PyTree]:
        checks.key("draw: key", key)
        keys = list(jax.random.split(key, count + len(interfaces)))
        points: dict[str, PyTree] = {f"pde/{i}": subdomains[i].inside(keys[i], numbers[i], dtype) for i in range(count)}
        for one, own in zip(interfaces, keys[count:], strict=True):
            x, normals = one.points(own, on_interface, dtype)
            for condition in conditions:
                points[f"interface/{one.name}/{condition}"] = (x, normals) if condition == "flux" else x
        return points

    return Decomposed(terms, draw)


def part(u: Any, i: int) -> Any:
    """The field of subdomain i, with the unknown coefficients of the whole model; a plain function is every part.

    Args:
        u: as a residual function gets it.
        i: number of the subdomain.

    Raises:
        TypeError: when the model is a module that has no parts.

    Example:
        >>> u = nn.Subdomains([nn.RandomFeatures([0.0], [1.0], "scalar", width=2, scale=1.0, rngs=nn.Rngs(0))] * 1,
        ...                   [sampling.Box((0.0,), (1.0,))])
        >>> part(nn.WithCoefficients(u, {"nu": 0.5}), 0).nu
        Array(0.5, dtype=float32)
    """
    inner = u.network if isinstance(u, nn.WithCoefficients) else u
    if isinstance(inner, nn.Subdomains):
        return inner.part(i) if inner is u else bridge.Derived(inner.part(i), u)
    if bridge.is_module(inner):
        raise TypeError(f"the model is a {type(inner).__name__}; expected a pinnjax.nn.Subdomains, which has parts")
    return u


def _on(i: int, residual: Residual) -> Residual:
    return lambda u, x: residual(part(u, i), x)


def _conditions(i: int, j: int, equations: Sequence[Residual], fluxes: Sequence[Flux]) -> Mapping[str, Residual]:
    def jump(u: Any, x: Array) -> Array:
        return part(u, i)(x) - part(u, j)(x)

    def average(u: Any, x: Array) -> Float[Array, " 2m"]:
        half = jnp.ravel(jump(u, x)) / 2
        return jnp.concatenate([half, -half])

    def normal_flux(u: Any, at: tuple[Array, Array]) -> Array:
        return fluxes[i](part(u, i), *at) - fluxes[j](part(u, j), *at)

    def residual(u: Any, x: Array) -> Any:
        return jax.tree.map(jnp.subtract, equations[i](part(u, i), x), equations[j](part(u, j), x))

    return {"value": jump, "average": average, "flux": normal_flux, "residual": residual}


def _fluxes(coefficient: Any, flux: Any, count: int) -> Sequence[Flux]:
    if (coefficient is None) == (flux is None):
        raise ValueError(
            "decomposed: the condition 'flux' needs a coefficient k, for k ∂u/∂n (1.0 for a smooth solution), or a "
            f"flux (u, x, normal); {'both are' if flux is not None else 'neither is'} given"
        )
    if flux is not None:
        return _each("flux", flux, count)

    def of(k: Any) -> Flux:
        return lambda u, x, normal: (k(x) if callable(k) else k) * directional(u, normal)(x)

    return [of(k) for k in _each("coefficient", coefficient, count)]


def _each(what: str, given: Any, count: int) -> Sequence[Any]:
    """What is given for each subdomain, or for all of them."""
    if not isinstance(given, Sequence):
        return [given] * count
    if len(given) != count:
        raise ValueError(f"decomposed: {what} has {len(given)} entries; expected one for each of {count} subdomains")
    return given


def _check(count: int, interfaces: Sequence[sampling.Interface], conditions: Sequence[str]) -> None:
    if isinstance(conditions, str) or not conditions or not set(conditions) <= set(CONDITIONS):
        raise ValueError(f"decomposed: conditions are {conditions!r}; expected some of {CONDITIONS}")
    pairs = [frozenset((one.first, one.second)) for one in interfaces]
    for pair in pairs:
        if max(pair) >= count:
            raise ValueError(f"decomposed: an interface of {sorted(pair)}; expected numbers below {count}")
        if pairs.count(pair) > 1:
            raise ValueError(f"decomposed: two interfaces of {sorted(pair)}; expected one, whose draw gives both")
    if alone := set(range(count)) - set().union(*pairs) if count > 1 else set():
        raise ValueError(f"decomposed: subdomains {sorted(alone)} have no interface; expected one for each")
