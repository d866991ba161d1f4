"""The memory of an optimiser for parameters that have grown."""

from typing import Any

import jax
import jax.numpy as jnp
import optax

PyTree = Any


def grown(optimizer: optax.GradientTransformation, state: PyTree, params: PyTree, larger: PyTree) -> PyTree:
    """An optimiser's state for larger parameters, with the moments of the old ones in it.

    What is remembered of a parameter is what it was, in the first rows and columns; of new ones it is as the optimiser
    begins, which is zero for moments. Counts go on. Numbers of `optax.inject_hyperparams` are those of the optimiser.

    A parameter that comes late to Adam finds a count that corrects no bias: with a steady gradient its first step is
    (1 - β_1) / √(1 - β_2) = 3.2 learning rates, its longest one 6.6, the twelfth, and still 3.2 after a hundred steps.

    Args:
        optimizer: of the larger parameters, of the same kind as that of the state.
        state: the optimiser's state so far.
        params: the parameters so far.
        larger: the parameters that they have become, e.g. of `pinnjax.nn.grown`.

    Returns:
        The state.

    Raises:
        ValueError: when the state remembers what does not grow with a parameter, such as the inverse Hessian of
            quasi-Newton steps or SOAP's bases, or is that of another optimiser.

    Example:
        >>> import jax.numpy as jnp
        >>> tx, small, large = optax.trace(0.9), {"w": jnp.ones(2)}, {"w": jnp.ones(3)}
        >>> _, state = tx.update({"w": jnp.array([3.0, 4.0])}, tx.init(small))
        >>> print(grown(tx, state, small, large).trace["w"])
        [3. 4. 0.]
    """
    fresh = optimizer.init(larger)
    old, small, large = _named(state), _named(params), _named(larger)
    new = _named(fresh)
    if strange := [name for name in old if name not in new]:
        raise ValueError(f"grown: the state has {strange[0]}, and the optimizer has not; expected a state of its kind")

    def one(name: str, leaf: Any) -> Any:
        fits = (p for p in large if name.endswith(p) and jnp.shape(leaf) == jnp.shape(large[p]))
        parameter = next(fits, "")  # the one that this is remembered of
        if ".hyperparams[" in name or (name not in old and parameter and parameter not in small):
            return leaf
        if name not in old:
            raise ValueError(f"grown: the optimizer has {name}, and the state has not; expected a state of its kind")
        kept, dtype = jnp.asarray(old[name]), jnp.asarray(leaf).dtype
        kept = kept if kept.dtype == dtype else kept.astype(dtype)  # a random key has one that nothing is cast to
        if kept.shape == jnp.shape(leaf):
            return kept
        if parameter not in small or kept.shape != jnp.shape(small[parameter]):
            raise ValueError(
                f"grown: the optimizer remembers {name} of shape {kept.shape}, which does not grow with a parameter; "
                "expected moments, such as Adam's"
            )
        return leaf.at[tuple(slice(n) for n in kept.shape)].set(kept)

    return jax.tree.unflatten(jax.tree.structure(fresh), [one(name, leaf) for name, leaf in new.items()])


def _named(tree: PyTree) -> dict[str, Any]:
    return {jax.tree_util.keystr(path): leaf for path, leaf in jax.tree.leaves_with_path(tree)}
