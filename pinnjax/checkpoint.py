"""Save and restore a run: every leaf of the state and the history so far, through orbax."""

import pathlib
from collections.abc import Mapping
from typing import Any

import jax
import numpy as np

PyTree = Any
History = dict[str, np.ndarray]


def save(directory: str | pathlib.Path, step: int, state: PyTree, history: Mapping[str, np.ndarray]) -> None:
    """Write a checkpoint; the newest three are kept, and an interrupted write leaves the older ones valid.

    Args:
        directory: folder of this run's checkpoints; made when missing.
        step: number of steps done.
        state: any pytree of arrays and random keys.
        history: `{metric: array}`.
    """
    import orbax.checkpoint as ocp  # slow to import, and only runs that save need it

    leaves = {name: np.asarray(_data(leaf)) for name, leaf in _named(state).items()}
    with _manager(directory) as manager:
        manager.save(step, args=ocp.args.StandardSave({"state": leaves, "history": dict(history)}))


def restore(directory: str | pathlib.Path, like: PyTree) -> tuple[PyTree, History] | None:
    """Read the newest checkpoint of a run.

    Args:
        directory: folder of the run's checkpoints.
        like: a state of the same structure, shapes and dtypes, such as `train.init` gives.

    Returns:
        `(state, history)`, or None when there is no checkpoint yet.

    Raises:
        ValueError: when the checkpoint belongs to another structure (another model, optimiser or balancer).
    """
    import orbax.checkpoint as ocp

    if not pathlib.Path(directory).exists():
        return None
    with _manager(directory) as manager:
        step = manager.latest_step()
        if step is None:
            return None
        saved = manager.restore(step, args=ocp.args.StandardRestore())
    expected, found = _named(like), saved["state"]
    differing = sorted(
        set(expected) ^ set(found)
        | {k for k in set(expected) & set(found) if _kind(_data(expected[k])) != _kind(found[k])}
    )
    if differing:
        raise ValueError(
            f"the checkpoint in {directory} differs from this run in {len(differing)} arrays, first {differing[0]!r}; "
            "expected one of the same model, optimiser and balancers (choose another folder to start anew)"
        )
    leaves = [_like(expected[name], found[name]) for name in expected]
    state = jax.tree.unflatten(jax.tree.structure(like), leaves)
    return state, {name: np.asarray(value) for name, value in (saved.get("history") or {}).items()}


def _manager(directory: str | pathlib.Path) -> Any:
    import orbax.checkpoint as ocp

    options = ocp.CheckpointManagerOptions(max_to_keep=3, create=True, enable_async_checkpointing=False)
    return ocp.CheckpointManager(pathlib.Path(directory).absolute(), options=options)


def _named(tree: PyTree) -> dict[str, Any]:
    return {jax.tree_util.keystr(path): leaf for path, leaf in jax.tree_util.tree_leaves_with_path(tree)}


def _is_key(leaf: Any) -> bool:
    return isinstance(leaf, jax.Array) and jax.numpy.issubdtype(leaf.dtype, jax.dtypes.prng_key)


def _data(leaf: Any) -> Any:
    return jax.random.key_data(leaf) if _is_key(leaf) else leaf


def _kind(leaf: Any) -> tuple[tuple[int, ...], np.dtype]:
    return np.shape(leaf), np.asarray(leaf).dtype


def _like(old: Any, new: Any) -> jax.Array:
    if _is_key(old):
        return jax.random.wrap_key_data(jax.numpy.asarray(new), impl=jax.random.key_impl(old))
    return jax.numpy.asarray(new)
