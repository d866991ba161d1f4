"""A field in pieces along one coordinate, such as time: each goes on from where the one before ended."""

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float

from pinnjax import checks
from pinnjax.nn.corrected import Frozen, Known


class Window(nnx.Module):
    """A network on one interval of a coordinate, which it sees as [0, 1], and the piece before it, which is known.

    Args:
        network: N, a module; the coordinate comes to it as (x_axis - begin) / length.
        axis: number of the coordinate.
        begin: where the interval begins, in units of the coordinate.
        length: its length, > 0.
        before: the window that ends there; None for the first one.

    Example:
        >>> import jax.numpy as jnp
        >>> from pinnjax import nn
        >>> network = nn.MLP(1, "scalar", width=4, depth=1, rngs=nn.Rngs(0))
        >>> first = Window(network, 0, 0.0, 0.5)
        >>> second = Window(network, 0, 0.5, 0.5, first)
        >>> end = jnp.array([0.5])
        >>> print(second(jnp.array([0.75])) == first(jnp.array([0.25])), second.before(end) == first(end))
        True True
    """

    def __init__(self, network: nnx.Module, axis: int, begin: Any, length: Any, before: "Window | None" = None):
        if not isinstance(network, nnx.Module):
            raise TypeError(f"Window: network is {checks.described(network)}; expected an nnx.Module")
        self.network, self.axis = network, axis
        self.begin, self.length = Known(jnp.asarray(begin, float)), Known(jnp.asarray(length, float))
        self.earlier = None if before is None else Frozen(before.network)
        if before is not None:
            self.begin_before, self.length_before = Known(before.begin[...]), Known(before.length[...])

    def __call__(self, x: Float[Array, " d"]) -> Float[Array, "*m"]:
        """The field at one point, which should be in the interval."""
        x = checks.point("Window", x)
        return self.network(_inside(x, self.axis, self.begin[...], self.length[...]))

    def before(self, x: Float[Array, " d"]) -> Float[Array, "*m"]:
        """The field of the window before; at the begin of this one it is where that one ended."""
        if self.earlier is None:
            raise ValueError("Window: there is none before the first one")
        return self.earlier(_inside(x, self.axis, self.begin_before[...], self.length_before[...]))

    def at_begin(self, x: Float[Array, " d"]) -> Float[Array, " d"]:
        """The point with the coordinate's first value in this window."""
        return x.at[self.axis].set(self.begin[...].astype(x.dtype))

    def within(self, x: Float[Array, " d"], share: Float[Array, ""]) -> Float[Array, " d"]:
        """The point with the coordinate at this share of the window, in [0, 1]."""
        return x.at[self.axis].set((self.begin[...] + share * self.length[...]).astype(x.dtype))


class Windows(nnx.Module):
    """The field that windows in a row make.

    Args:
        windows: from the first to the last one, each beginning where the one before ends, of one architecture.

    Raises:
        ValueError: when there are none.

    Example:
        >>> import jax
        >>> import jax.numpy as jnp
        >>> from pinnjax import nn
        >>> network = lambda seed: nn.MLP(1, "scalar", width=4, depth=1, rngs=nn.Rngs(seed))
        >>> parts = [Window(network(0), 0, 0.0, 0.5), Window(network(1), 0, 0.5, 1.5)]
        >>> u = Windows(parts)
        >>> x = jnp.array([[0.1], [0.7], [2.0]])
        >>> print((jax.vmap(u)(x) == jnp.stack([parts[i](x[j]) for j, i in enumerate([0, 1, 1])])).all())
        True
    """

    def __init__(self, windows: Sequence[Window]):
        if not windows:
            raise ValueError("Windows: there are none; expected at least one Window")
        self.axis = windows[0].axis
        self.begins = Known(jnp.stack([w.begin[...] for w in windows]))
        self.lengths = Known(jnp.stack([w.length[...] for w in windows]))
        self.networks = _Stacked([w.network for w in windows])

    def __call__(self, x: Float[Array, " d"]) -> Float[Array, "*m"]:
        """The field at one point; beyond the ends that of the nearest window."""
        x = checks.point("Windows", x)
        number = jnp.clip(jnp.searchsorted(self.begins[...], x[self.axis], side="right") - 1, 0)
        begin, length = self.begins[...][number], self.lengths[...][number]
        return self.networks.at(number)(_inside(x, self.axis, begin, length))


class _Stacked(nnx.Module):
    """Networks of one architecture, one leaf for each of theirs; what is trained in them is trained here."""

    def __init__(self, networks: Sequence[nnx.Module]):
        parts: list[Any] = [nnx.split(network, nnx.Param, ...) for network in networks]
        self.definition, *states = parts[0]
        self.structures = tuple(map(jax.tree.structure, states))
        trained, known = ([jax.tree.leaves(part[i]) for part in parts] for i in (1, 2))
        stacked = lambda leaves: [jnp.stack(same) for same in zip(*leaves, strict=True)]
        self.trained = nnx.List([nnx.Param(leaf) for leaf in stacked(trained)])
        self.known = nnx.List([Known(leaf) for leaf in stacked(known)])

    def at(self, number: Array) -> nnx.Module:
        """One of them."""
        leaves = ([leaf[...][number] for leaf in kind] for kind in (self.trained, self.known))
        return nnx.merge(self.definition, *map(jax.tree.unflatten, self.structures, leaves))


def _inside(x: Array, axis: int, begin: Array, length: Array) -> Array:
    return x.at[axis].set(((x[axis] - begin) / length).astype(x.dtype))
