"""The monitors that pinnjax brings: `pinnjax.diagnostics` measured inside the train step, every so many steps.

    train = pj.train_step(terms, optimizer, monitors=[pj.monitors.gradients(), pj.monitors.signal_to_noise(every=100)])

A measurement of the step's own residuals and gradients costs next to nothing. One that needs gradients of its own takes
some of the points, since its cost grows with them; each says how many gradients it costs. `pinnjax bench monitors`
measures them all.
"""

from pinnjax.monitors._errors import error_by_mode, homogeneity, test_train_ratio, time_losses
from pinnjax.monitors._gradients import gradients, point_grad_norms, signal_to_noise
from pinnjax.monitors._network import curvature, saturation, tangent_kernel

__all__ = [
    "curvature",
    "error_by_mode",
    "gradients",
    "homogeneity",
    "point_grad_norms",
    "saturation",
    "signal_to_noise",
    "tangent_kernel",
    "test_train_ratio",
    "time_losses",
]
