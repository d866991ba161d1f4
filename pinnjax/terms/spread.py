"""Points over devices: along the axis "points" of the mesh that is set, XLA splits what is computed for each of them.

What follows is the program of one device: sums, maxima and sorted orders over points are over all of them, wherever
they are. `jax.set_mesh(mesh)` sets one, and `pinnjax.fit(..., mesh=mesh)` does.
"""

from typing import Any

import jax

PyTree = Any
POINTS, SEEDS = "points", "seeds"  # the axes of a mesh that mean something here


def size_of(axis: str) -> int:
    """Number of devices along an axis of the mesh that is set; 1 where there is no such axis.

    Example:
        >>> size_of("points")
        1
    """
    mesh = jax.sharding.get_abstract_mesh()
    automatic = jax.sharding.AxisType.Auto
    kinds = dict(zip(mesh.axis_names, mesh.axis_types, strict=True)) if mesh.axis_names else {}
    return mesh.shape[axis] if kinds.get(axis) == automatic else 1


def spread(tree: PyTree, axis: int = 0) -> PyTree:
    """Arrays whose entries along `axis` lie on the devices in turn; those that cannot be split evenly lie on all.

    Example:
        >>> import jax.numpy as jnp
        >>> print(spread({"pde": jnp.ones(2)}))
        {'pde': Array([1., 1.], dtype=float32)}
    """
    devices = size_of(POINTS)
    if devices == 1:
        return tree

    def one(leaf: Any) -> Any:
        even = leaf.ndim > axis and leaf.shape[axis] and leaf.shape[axis] % devices == 0
        return jax.lax.with_sharding_constraint(leaf, jax.P(*[None] * axis, POINTS) if even else jax.P())

    return jax.tree.map(one, tree)
