"""Plots, one function a figure; each draws on the axes it is given, or on new ones, and returns them."""

from pinnjax.plot.fields import error_field, field, profile
from pinnjax.plot.gradients import gradient_histograms
from pinnjax.plot.histories import errors, losses, weights
from pinnjax.plot.measurements import conflicts, point_values, signal_to_noise, spectra
from pinnjax.plot.races import clock, masks, race

__all__ = [
    "clock",
    "conflicts",
    "error_field",
    "errors",
    "field",
    "gradient_histograms",
    "losses",
    "masks",
    "point_values",
    "profile",
    "race",
    "signal_to_noise",
    "spectra",
    "weights",
]
