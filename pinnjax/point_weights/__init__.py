"""Point space: optax transforms whose updates are per-point weights `{term: (n,)}`.

`init(residuals)`, then `update(weights, state, params=None, *, residuals, points, **extra) -> (weights, state)`.
The weights enter as ones, so transforms chain by multiplication, with each other and with plain optax transforms such
as `optax.clip`. The loss of a term is mean_i w_i |r_i|², and no gradient flows through w.
"""

from pinnjax.point_weights.brdr import BRDRState, brdr
from pinnjax.point_weights.by_position import by_position
from pinnjax.point_weights.causal import CausalState, causal
from pinnjax.point_weights.inverse_point_gradients import InversePointGradientsState, inverse_point_gradients
from pinnjax.point_weights.pecann import PECANNState, pecann
from pinnjax.point_weights.per_point_memory import PerPointMemoryState, per_point_memory
from pinnjax.point_weights.residual_attention import ResidualAttentionState, residual_attention
from pinnjax.point_weights.self_adaptive import SelfAdaptiveState, self_adaptive
from pinnjax.point_weights.vrba import VRBAState, vrba

__all__ = [
    "BRDRState",
    "CausalState",
    "InversePointGradientsState",
    "PECANNState",
    "PerPointMemoryState",
    "ResidualAttentionState",
    "SelfAdaptiveState",
    "VRBAState",
    "brdr",
    "by_position",
    "causal",
    "inverse_point_gradients",
    "pecann",
    "per_point_memory",
    "residual_attention",
    "self_adaptive",
    "vrba",
]
