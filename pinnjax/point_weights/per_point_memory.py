"""Per-point memory follows its points through shuffles, minibatches and resampling: one wrapper for every rule."""

import dataclasses
from collections.abc import Container, Iterable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Int

from pinnjax.terms import names

PyTree = Any
Shapes = tuple[tuple[str, jax.ShapeDtypeStruct], ...]


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class PerPointMemoryState:
    """State of `per_point_memory`.

    Attributes:
        rule: the rule's state for the whole pool.
        shapes: static; `(term, shape and dtype of its residuals)` over the pool, sorted.
    """

    rule: PyTree
    shapes: Shapes = dataclasses.field(metadata={"static": True})


def per_point_memory(rule: optax.GradientTransformation) -> optax.GradientTransformationExtraArgs:
    """Keep a rule's per-point memory by point, not by row of the batch.

    The memory is that of a pool of N points a term. A step first reindexes it with the points (`previous_index`), then
    lends the rule the rows of the batch (`index`), and puts back what the rule made of them; the memory of points that
    are not in the batch rests. A new point starts as the rule's `init` starts it, given residuals of zero. What belongs
    to no point, a counter for instance, is shared.

    The memory of points are the leaves `(N, ...)` under the name of a term, as in `{term: (N,)}`; the others have to be
    single numbers. `pinnjax.train_step` wraps every rule that goes together with a sampler; a loop of your own should.

    Args:
        rule: any point-space transform, or a chain of them.

    Returns:
        A point-space transform. `init(residuals)` takes those of the pool. `update` reads, besides what the rule reads,
        `index`, `{term: (n,)}`, and `previous_index`, `{term: (N,)}`, as in `pinnjax.sampling.Draw`; for a term that is
        left out every point stayed, and all are in the batch. It hands the rule `copies`, `{term: (n,)}`: how often the
        batch holds each of its points, for rules that add up over the batch, since a place keeps what is put back once.

    Raises:
        ValueError: when a leaf of the rule's state is an array that belongs to no term.

    Cost: a gather and a scatter of the memory.

    Example:
        >>> import jax.numpy as jnp, pinnjax as pj
        >>> rule = per_point_memory(pj.point_weights.residual_attention(decay=0.0, eta=1.0))
        >>> state = rule.init({"pde": jnp.zeros(3)})
        >>> batch = {"pde": jnp.array([2.0, 4.0])}  # the points in places 2 and 0
        >>> ones, index = {"pde": jnp.ones(2)}, {"pde": jnp.array([2, 0])}
        >>> weights, state = rule.update(ones, state, residuals=batch, index=index)
        >>> print(state.rule.attention["pde"])
        [1.  0.  0.5]
    """
    inner = optax.with_extra_args_support(rule)

    def init(residuals: Mapping[str, Array]) -> PerPointMemoryState:
        shapes = tuple((name, jax.ShapeDtypeStruct(r.shape, r.dtype)) for name, r in sorted(residuals.items()))
        state = inner.init(dict(residuals))
        _owners(state, shapes)
        return PerPointMemoryState(state, shapes)

    def update(
        weights: dict[str, Array],
        state: PerPointMemoryState,
        params: Any = None,
        *,
        index: Mapping[str, Int[Array, " n"]] | None = None,
        previous_index: Mapping[str, Int[Array, " N"]] | None = None,
        **extra: Any,
    ) -> tuple[dict[str, Array], PerPointMemoryState]:
        terms = extra.get("points", {**(index or {}), **(previous_index or {})})
        state = reindexed(rule, state, previous_index or {}, terms)
        owners = _owners(state.rule, state.shapes)
        places = {name: names.of_residual(name, index or {}, terms) for name, _ in state.shapes}
        sizes = {name: shape.shape[0] for name, shape in state.shapes}
        copies = {name: _copies(place, sizes[name]) for name, place in places.items() if place is not None}

        def gathered(leaf: Array, owner: str | None) -> Array:
            return leaf if owner is None or places[owner] is None else leaf[places[owner]]

        def scattered(new: Array, old: Array, owner: str | None) -> Array:
            return new if owner is None or places[owner] is None else old.at[places[owner]].set(new)

        leaves, structure = jax.tree.flatten(state.rule)
        batch_state = jax.tree.unflatten(structure, [gathered(*pair) for pair in zip(leaves, owners, strict=True)])
        weights, batch_state = inner.update(weights, batch_state, params, copies=copies, **extra)
        back = [scattered(*three) for three in zip(jax.tree.leaves(batch_state), leaves, owners, strict=True)]
        return weights, dataclasses.replace(state, rule=jax.tree.unflatten(structure, back))

    return optax.GradientTransformationExtraArgs(init, update)


def reindexed(
    rule: optax.GradientTransformation,
    state: PerPointMemoryState,
    previous_index: Mapping[str, Int[Array, " N"]],
    terms: Iterable[str],
) -> PerPointMemoryState:
    """The state after its points moved and others are new, before any of them is looked at."""
    if not previous_index:
        return state
    initial = rule.init({name: jnp.zeros(s.shape, s.dtype) for name, s in state.shapes})
    sources = {name: names.of_residual(name, previous_index, terms) for name, _ in state.shapes}
    known = {name: source for name, source in sources.items() if source is not None}
    return dataclasses.replace(state, rule=moved(state.rule, initial, known))


def moved(state: PyTree, initial: PyTree, previous_index: Mapping[str, Int[Array, " N"]]) -> PyTree:
    """A rule's state in which each place has the memory of its point, wherever that was before.

    Args:
        state: the rule's state before.
        initial: its state for points that are new.
        previous_index: `{residual: (N,)}`, for each place the one that its point had before, or -1 where it is new.

    Returns:
        The state; what belongs to none of these residuals stays.
    """

    def of(path: tuple, leaf: Array, new: Array) -> Array:
        owner = _owner(path, previous_index) if jnp.ndim(leaf) else None
        if owner is None:
            return leaf
        source = previous_index[owner]
        known = (source >= 0).reshape((-1,) + (1,) * (leaf.ndim - 1))
        return jnp.where(known, leaf[jnp.maximum(source, 0)], new)

    return jax.tree_util.tree_map_with_path(of, state, initial)


def _owners(state: PyTree, shapes: Shapes) -> list[str | None]:
    """For each leaf of the rule's state the term whose points it belongs to; None for single numbers."""
    sizes = {name: shape.shape[0] for name, shape in shapes}
    owners: list[str | None] = []
    for path, leaf in jax.tree_util.tree_leaves_with_path(state):
        name = _owner(path, sizes)
        if jnp.ndim(leaf) == 0:
            owners.append(None)
        elif name is not None and leaf.shape[0] == sizes[name]:
            owners.append(name)
        else:
            raise ValueError(
                f"per_point_memory: the state of the point weights has a leaf {jax.tree_util.keystr(path)} of shape "
                f"{leaf.shape}; expected single numbers, or {{term: (n, ...)}} with the n of {sizes}"
            )
    return owners


def remembered_points(state: PyTree, residuals: Iterable[str]) -> dict[str, int]:
    """The residuals that a rule's state keeps numbers a point for, and for how many points."""
    expected = set(residuals)
    leaves = [(_owner(path, expected), leaf) for path, leaf in jax.tree_util.tree_leaves_with_path(state)]
    return {owner: leaf.shape[0] for owner, leaf in leaves if owner is not None and jnp.ndim(leaf)}


def _owner(path: tuple, residuals: Container[str]) -> str | None:
    """The residual that a leaf of a state is about: the last name of one on its path."""
    keys = [key.key for key in path if isinstance(key, jax.tree_util.DictKey)]
    return next((key for key in reversed(keys) if key in residuals), None)


def _copies(index: Int[Array, " n"], total: int) -> Int[Array, " n"]:
    return jnp.zeros(total, jnp.int32).at[index].add(1)[index]
