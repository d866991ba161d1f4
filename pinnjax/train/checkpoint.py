"""Save and restore a run through orbax: every leaf of the state, the history so far, and what the run is."""

import dataclasses
import pathlib
import re
import tempfile
import warnings
from collections.abc import Mapping
from typing import Any, NamedTuple

import jax
import numpy as np
from jax.experimental import multihost_utils

from pinnjax.train import _format
from pinnjax.train._format import History

PyTree = Any
KEPT = 3
BEST = "best"  # the folder, in that of the run, of the model with the least error


class Model(NamedTuple):
    """The part of a state that is the field, under the names that it has there."""

    params: PyTree
    constants: PyTree


class Saved(NamedTuple):
    """What `restore` finds.

    Attributes:
        step: number of steps done.
        state: as it was saved.
        history: `{metric: array}`.
        about: what else was said of the run, as JSON holds it.
    """

    step: int
    state: PyTree
    history: History
    about: dict[str, Any]


def save(
    directory: str | pathlib.Path,
    step: int,
    state: PyTree,
    history: Mapping[str, np.ndarray] | None = None,
    about: Mapping[str, Any] | None = None,
    *,
    keep: int = KEPT,
) -> None:
    """Write a checkpoint; an interrupted write leaves the older ones valid.

    Args:
        directory: folder of this run's checkpoints; made when missing.
        step: number of steps done.
        state: any pytree of arrays and random keys.
        history: `{metric: array}`.
        about: anything else that JSON can hold.
        keep: number of checkpoints that stay, the newest.
    """
    import orbax.checkpoint as ocp  # slow to import, and only runs that save need it

    leaves = {name: _whole(_data(leaf)) for name, leaf in _named(state).items()}
    history = {name: np.asarray(values) for name, values in (history or {}).items()}
    arrays, names = _format.packed(leaves, history, about or {})
    with _manager(directory, keep) as manager:
        if step in manager.all_steps():  # a replayed run may come by the same step again
            manager.delete(step)
        manager.save(
            step,
            args=ocp.args.Composite(
                arrays=ocp.args.StandardSave({name: array for name, array in arrays.items() if array.size}),
                names=ocp.args.JsonSave(names),
            ),
        )


def restore(directory: str | pathlib.Path, like: PyTree) -> Saved | None:
    """Read the newest checkpoint of a run that is whole; one that is damaged is a warning, and the one before is read.

    Args:
        directory: folder of the run's checkpoints.
        like: a state of the same structure, shapes and dtypes, such as `train.init` gives.

    Returns:
        What was saved, or None when there is no checkpoint yet.

    Raises:
        ValueError: when the checkpoint belongs to another structure (another model, optimiser or balancer), was written
            by another version, or none is whole.
    """
    read = _read(directory)
    if read is None:
        return None
    step, leaves, history, about = read
    return Saved(step, _filled(directory, like, leaves), history, about)


def restore_params(directory: str | pathlib.Path, state: Any, *, best: bool = False) -> Any:
    """A state with the model of a checkpoint, its parameters and constants, and all else as it is in `state`.

    So a run goes on with another optimiser or other rules, from where one with the same network stopped. The
    optimiser's and the rules' memory are those of `state`, as is its count of steps.

    Args:
        directory: folder of the run's checkpoints, as given to `pinnjax.fit`; of a run with phases that of one of them,
            such as `folder / "phase-2"`, whose best model is that of all phases with its network up to there.
        state: from `train.init`, with a model of the same structure.
        best: take the model with the least evaluation error, not the newest; `fit` keeps it where it evaluates.

    Returns:
        The state.

    Raises:
        ValueError: when there is no such checkpoint, or its model has another structure.

    Example:
        >>> import tempfile, jax.numpy as jnp, optax, pinnjax as pj
        >>> batch = {"data": jnp.array([[2.0]])}
        >>> first = pj.train_step({"data": lambda u, x: u(x) - 6.0}, optax.sgd(0.1))
        >>> start = first.init((lambda a, x: a * x[0], jnp.float32(0.0)), batch)
        >>> second = pj.train_step({"data": lambda u, x: u(x) - 6.0}, optax.adam(0.1))
        >>> fresh = second.init((lambda a, x: a * x[0], jnp.float32(0.0)), batch)
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     state, _ = pj.fit(first, start, batch, steps=50, checkpoint=folder)
        ...     print(fresh.params, restore_params(folder, fresh).params)
        0.0 3.0
    """
    read = _read(pathlib.Path(directory) / BEST if best else directory)
    if read is None:
        what = "a best model (fit keeps one where it has `evaluate` and `checkpoint`)" if best else "a checkpoint"
        raise ValueError(f"there is no checkpoint in {directory}; expected {what}")
    leaves = {name: leaf for name, leaf in read[1].items() if re.match(r"\.(params|constants)\b", name)}
    model = _filled(directory, Model(state.params, state.constants), leaves)
    return dataclasses.replace(state, params=model.params, constants=model.constants)


def writable(directory: str | pathlib.Path) -> None:
    """The folder can be made and written to, or an OSError says why not."""
    try:
        pathlib.Path(directory).mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=directory):
            pass
    except OSError as error:
        raise OSError(f"cannot write checkpoints to {directory}: {error}; expected a folder to write to") from error


def _read(directory: str | pathlib.Path) -> tuple[int, dict[str, np.ndarray], History, dict[str, Any]] | None:
    """The newest checkpoint: its step, the state's leaves by name, history, and what was said of it."""
    import orbax.checkpoint as ocp

    if not pathlib.Path(directory).exists():
        return None
    with _manager(directory, None) as manager:
        steps = sorted(manager.all_steps(), reverse=True)
        for step in steps:
            whole = ocp.args.Composite(arrays=ocp.args.StandardRestore(), names=ocp.args.JsonRestore())
            try:
                read = manager.restore(step, args=whole)
                found = _format.unpacked(read.arrays, read.names)
            except _format.OtherFormat:
                raise ValueError(
                    f"the checkpoint in {directory} was written by another version; expected format {_format.FORMAT} "
                    "(choose another folder to start anew)"
                ) from None
            except Exception as error:  # whatever a damaged file makes of a reader
                said = (str(error).splitlines() or [""])[0][:200]
                warnings.warn(
                    f"the checkpoint of step {step} in {directory} is damaged ({type(error).__name__}: {said}); "
                    "the one before it is read",
                    stacklevel=4,
                )
                continue
            return step, *found
    if steps:
        raise ValueError(
            f"no checkpoint in {directory} is whole; expected one of {steps} to be (choose another folder to start "
            "anew)"
        )
    return None


def _filled(directory: str | pathlib.Path, like: PyTree, found: Mapping[str, np.ndarray]) -> PyTree:
    """A pytree of the structure of `like` with the arrays that were found."""
    expected = _named(like)
    differing = sorted(
        set(expected) ^ set(found)
        | {k for k in set(expected) & set(found) if _kind(_data(expected[k])) != _kind(found[k])}
    )
    if differing:
        raise ValueError(
            f"the checkpoint in {directory} differs from this run in {len(differing)} arrays, first {differing[0]!r}: "
            f"{_words(found.get(differing[0]))} there, {_words(expected.get(differing[0]))} here; "
            "expected one of the same model, optimiser and balancers (choose another folder to start anew)"
        )
    return jax.tree.unflatten(jax.tree.structure(like), [_like(expected[name], found[name]) for name in expected])


def _words(leaf: Any) -> str:
    return "none" if leaf is None else "{1}{0}".format(*_kind(_data(leaf)))


def _manager(directory: str | pathlib.Path, keep: int | None) -> Any:
    import orbax.checkpoint as ocp

    options = ocp.CheckpointManagerOptions(max_to_keep=keep, create=True, enable_async_checkpointing=False)
    return ocp.CheckpointManager(pathlib.Path(directory).absolute(), options=options)


def _named(tree: PyTree) -> dict[str, Any]:
    return {jax.tree_util.keystr(path): leaf for path, leaf in jax.tree_util.tree_leaves_with_path(tree)}


def _is_key(leaf: Any) -> bool:
    return isinstance(leaf, jax.Array) and jax.numpy.issubdtype(leaf.dtype, jax.dtypes.prng_key)


def _data(leaf: Any) -> Any:
    return jax.random.key_data(leaf) if _is_key(leaf) else leaf


def _whole(leaf: Any) -> np.ndarray:
    """All of an array, wherever its parts lie; where they lie with other processes all of these ask at once."""
    if isinstance(leaf, jax.Array) and not leaf.is_fully_addressable and not leaf.is_fully_replicated:
        return np.asarray(multihost_utils.process_allgather(leaf, tiled=True))
    return np.asarray(leaf)


def _kind(leaf: Any) -> tuple[tuple[int, ...], np.dtype]:
    return np.shape(leaf), np.dtype(leaf.dtype)


def _like(old: Any, new: Any) -> jax.Array:
    if _is_key(old):
        return jax.random.wrap_key_data(jax.numpy.asarray(new), impl=jax.random.key_impl(old))
    return jax.numpy.asarray(new)
