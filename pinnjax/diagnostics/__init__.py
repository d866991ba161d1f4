"""Measurements of what goes wrong in training: pure functions of gradients, residuals and parameters."""

from pinnjax.diagnostics.gradients import by_layer

__all__ = ["by_layer"]
