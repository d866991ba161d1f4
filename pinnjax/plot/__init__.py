"""Plots, one function a figure; each draws on the axes it is given, or on new ones, and returns them."""

from pinnjax.plot.fields import error_field, field
from pinnjax.plot.histories import errors, losses, weights

__all__ = ["error_field", "errors", "field", "losses", "weights"]
