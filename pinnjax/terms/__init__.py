"""Terms: residual functions at their points, and what the step needs of them.

Residuals and one pullback a term, losses, gradients at each point, shared subexpressions, and sums in chunks of points.
"""

from pinnjax.terms.all_points import batchwise
from pinnjax.terms.evaluation import pullback, residuals
from pinnjax.terms.losses import value_and_grads
from pinnjax.terms.point_gradients import point_grad_norms

__all__ = ["batchwise", "point_grad_norms", "pullback", "residuals", "value_and_grads"]
