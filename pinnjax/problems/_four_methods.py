"""The four methods of Wang, Teng & Perdikaris (2021) as recipes: plain, balanced, another network, both.

References:
  Wang, Teng, Perdikaris, `Understanding and mitigating gradient pathologies in physics-informed neural networks
  <https://arxiv.org/abs/2001.04536>`_, SIAM Journal on Scientific Computing 43(5), 2021: methods M1 to M4.
"""

from collections.abc import Callable, Mapping
from typing import Any

import jax
import optax

from pinnjax import nn
from pinnjax.problems._problem import Recipe
from pinnjax.problems._schedules import decaying


def four_methods(
    balancer: optax.GradientTransformation, network: Callable[..., Any], published: Mapping[str, float]
) -> dict[str, Recipe]:
    """M1 to M4, with 40 000 steps of Adam each, in the authors' schedule.

    Args:
        balancer: of M2 and M4, a term-space transform.
        network: of M3 and M4.
        published: relative L2 errors in the source, where there are any.
    """
    methods = {
        "M1": ("plain: MLP, equal weights", nn.MLP, None),
        "M2": ("MLP, balanced", nn.MLP, balancer),
        "M3": ("modified MLP, equal weights", network, None),
        "M4": ("modified MLP, balanced", network, balancer),
    }
    return {
        name: Recipe(what, model, decaying(1000), 40_000, term_weights=rule, published=published.get(name))
        for name, (what, model, rule) in methods.items()
    }


def authors_network(*, width: int, **network: Any) -> nn.ModifiedMLP:
    """The modified network as the authors start it: the encoders' biases are drawn like a kernel of one row."""
    bias = jax.nn.initializers.normal((2 / (1 + width)) ** 0.5)
    return nn.ModifiedMLP(width=width, encoder_bias=bias, **network)
