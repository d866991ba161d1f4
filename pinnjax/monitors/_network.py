"""Monitors of the network: saturated units, tangent kernel and curvature."""

import jax
import jax.numpy as jnp
from jaxtyping import Array

from pinnjax import checks, diagnostics
from pinnjax.terms import chunks, evaluation
from pinnjax.train.monitor import Monitor, StepInfo


def saturation(*, term: str, points: int = 256, every: int = 100) -> Monitor:
    """Shares of saturated and of dead units, layer by layer.

    Measures `saturation` and `dead`, `(layers,)`; see `pinnjax.diagnostics.saturation`.

    Args:
        term: at whose points.
        points: how many of them.
        every: steps between two measurements.

    Cost: the field at those points.
    """

    def measure(info: StepInfo) -> dict[str, Array]:
        checks.known_names("saturation: term", info.points, [term])
        u, at = info.field(), chunks.some(info.points[term], points)
        return {"saturation": jnp.array(diagnostics.saturation(u, at)), "dead": jnp.array(diagnostics.dead(u, at))}

    return Monitor(measure, every)


def tangent_kernel(*, points: int = 64, every: int = 100) -> Monitor:
    """Spectrum of each term's neural tangent kernel.

    Measures `ntk_eigenvalues/t` `(n,)`, `ntk_trace/t` and `ntk_condition/t`; see `pinnjax.diagnostics.tangent_kernel`.

    Args:
        points: how many of each term.
        every: steps between two measurements.

    Cost: a gradient a point, and the eigenvalues of a matrix of that size a term.
    """

    def measure(info: StepInfo) -> dict[str, Array]:
        blocks = diagnostics.tangent_kernel(info.terms, info.definition, info.constants)
        found: dict[str, Array] = {}
        for t, s in diagnostics.spectra(
            blocks(info.params, evaluation.some_of_each(info.terms, info.points, points))
        ).items():
            found |= {
                f"ntk_eigenvalues/{t}": s.eigenvalues,
                f"ntk_trace/{t}": s.trace,
                f"ntk_condition/{t}": s.condition,
            }
        return found

    return Monitor(measure, every)


def curvature(*, points: int = 128, steps: int = 20, every: int = 100) -> Monitor:
    """How stiff the loss is: Ritz values of its Hessian.

    Measures `hessian` and `gauss_newton`, `(steps,)` each, of the weighted loss, and `stiffness` of the latter; see
    `pinnjax.diagnostics.lanczos`. Point weights count as ones.

    Args:
        points: how many of each term.
        steps: products of each matrix with a vector.
        every: steps between two measurements.

    Cost: `steps` times some five gradients at those points.
    """

    def measure(info: StepInfo) -> dict[str, Array]:
        hessian, gauss_newton, size = diagnostics.products(
            info.terms,
            info.definition,
            info.params,
            evaluation.some_of_each(info.terms, info.points, points),
            info.constants,
            weights=info.term_weights,
        )
        key, dtype = jax.random.key(0), jax.tree.leaves(info.params)[0].dtype
        ritz = lambda product: diagnostics.lanczos(product, size, key=key, steps=min(steps, size), dtype=dtype)
        outer = ritz(gauss_newton)
        return {"hessian": ritz(hessian), "gauss_newton": outer, "stiffness": diagnostics.stiffness(outer)}

    return Monitor(measure, every)
