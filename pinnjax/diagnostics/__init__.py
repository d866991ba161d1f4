"""Measurements of what goes wrong in training: pure functions of gradients, residuals and parameters."""

from pinnjax.diagnostics.curvature import lanczos, products, stiffness
from pinnjax.diagnostics.gradients import Size, alignment, by_layer, cosines, imbalance, sizes
from pinnjax.diagnostics.kernel import Spectrum, spectra, tangent_kernel
from pinnjax.diagnostics.modes import error_by_mode
from pinnjax.diagnostics.noise import Phases, phases, signal_to_noise
from pinnjax.diagnostics.residuals import causality_violation, homogeneity, test_train_ratio, time_losses
from pinnjax.diagnostics.saturation import activations, dead, saturation
from pinnjax.diagnostics.scales import Scales, scales

__all__ = [
    "Phases",
    "Scales",
    "Size",
    "Spectrum",
    "activations",
    "alignment",
    "by_layer",
    "causality_violation",
    "cosines",
    "dead",
    "error_by_mode",
    "homogeneity",
    "imbalance",
    "lanczos",
    "phases",
    "products",
    "saturation",
    "scales",
    "signal_to_noise",
    "sizes",
    "spectra",
    "stiffness",
    "tangent_kernel",
    "test_train_ratio",
    "time_losses",
]
