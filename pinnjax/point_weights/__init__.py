"""Point space: optax transforms whose updates are per-point weights `{term: (n,)}`.

`init(residuals)`, then `update(weights, state, params=None, *, residuals, points, **extra) -> (weights, state)`.
The weights enter as ones, so transforms chain by multiplication, with each other and with plain optax transforms such
as `optax.clip`. The loss of a term is mean_i w_i |r_i|², and no gradient flows through w.
"""

from pinnjax.point_weights.pecann import PECANNState, pecann
from pinnjax.point_weights.self_adaptive import SelfAdaptiveState, self_adaptive

__all__ = ["PECANNState", "SelfAdaptiveState", "pecann", "self_adaptive"]
