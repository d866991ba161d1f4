"""Derivatives of pointwise fields, so that a residual reads like the equation."""

from pinnjax.derivatives.operators import component, curl, diff, directional, divergence, grad, hessian, laplacian

__all__ = ["component", "curl", "diff", "directional", "divergence", "grad", "hessian", "laplacian"]
