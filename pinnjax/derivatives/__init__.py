"""Derivatives of pointwise fields, by nested forward mode, so that a residual reads like the equation.

A field `u` maps one point `x: (d,)` to `()` or `(m,)`; every operator here maps a field to a field, so they compose:
`laplacian(laplacian(u))` is the biharmonic operator. What several derivatives of one field share is computed once: see
`pinnjax.terms.cse`, which every residual function goes through.
"""

from pinnjax.derivatives.partial import component, diff, directional
from pinnjax.derivatives.vector import curl, divergence, grad, hessian, laplacian

__all__ = ["component", "curl", "diff", "directional", "divergence", "grad", "hessian", "laplacian"]
