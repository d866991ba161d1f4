"""Fingerprints of runs: what a checkpoint says it is of, in digests that are the same in every process.

A compiled step is a graph: every value is a primitive of other values, down to the leaves of state and batch. Hashing
that graph from the leaves up gives each output a digest of all that it is computed from, equations, models, rules and
their numbers (a learning rate is a literal or a constant of the program), and of nothing else. So monitors, which only
add metrics, change no other digest.
"""

import hashlib
import importlib.metadata
import re
from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.extend
import numpy as np
import optax

PyTree = Any
Fingerprint = dict[str, str]

CALLS = {"jit", "pjit", "closed_call", "core_call", "custom_jvp_call", "custom_vjp_call"}
WEIGHTS = "point or term weights (a rule or one of its numbers)"
UPDATE = "update (the optimiser, a learning rate, or a rule that keeps the weights)"
HYPER = "hyperparameters"
VERSIONS = "versions"


def of(update: Callable, state: PyTree, batch: PyTree) -> Fingerprint:
    """What can be named of a run, `{part: digest}`, in the order in which a step computes it.

    Args:
        update: `update(state, batch) -> (state, metrics)`.
        state: a `pinnjax.TrainState`, before the first step that counts.
        batch: `{term: points}` or None.

    Returns:
        Digests of 16 hexadecimal digits: of each term's points and loss, of the weights, of the whole update.

    Example:
        >>> import jax.numpy as jnp, optax, pinnjax as pj
        >>> batch = {"data": jnp.ones((1, 1))}
        >>> def made(rate):
        ...     train = pj.train_step({"data": lambda u, x: u(x) - 6.0}, optax.sgd(rate))
        ...     return of(train.update, train.init((lambda a, x: a * x[0], jnp.float32(0.0)), batch), batch)
        >>> differing(made(0.1), made(0.1)), [part.split()[0] for part in differing(made(0.1), made(0.2))]
        ([], ['update'])
    """
    # Weak types come and go with a restore, so the program is traced without them.
    shapes = jax.eval_shape(lambda *arguments: arguments, state, batch)
    given = jax.tree.map(lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype), shapes)
    program, made = jax.make_jaxpr(update, return_shape=True)(*given)
    leaves = jax.tree_util.tree_leaves_with_path(given)
    names = [_digest(jax.tree_util.keystr(path), leaf.shape, leaf.dtype) for path, leaf in leaves]
    after, metrics = jax.tree.unflatten(jax.tree.structure(made), _outputs(program.jaxpr, program.consts, names))
    found = {f"points of {name!r}": _digest(*map(_value, jax.tree.leaves(points))) for name, points in _items(batch)}
    fixed = [leaf for leaf in jax.tree.leaves(state.constants) if jax.numpy.issubdtype(leaf.dtype, np.inexact)]
    if fixed:
        found["model's constants (standardisation, frequencies, ...)"] = _digest(*map(_value, fixed))
    for name in metrics:
        if name.startswith("loss/"):
            term = name.removeprefix("loss/")
            found[f"loss of {term!r} (its equation, the model or the sampler)"] = _digest(metrics[name])
    found[WEIGHTS] = _digest(*(metrics[name] for name in metrics if name.startswith(("weight/", "weighted_loss/"))))
    found[UPDATE] = _digest(*jax.tree.leaves(after))
    # `optax.inject_hyperparams` keeps its numbers in the state, where a restore would bring the old ones back.
    rules = (state.optimizer, state.term_weights, state.point_weights)
    for i, (_, numbers) in enumerate(optax.tree.get_all_with_path(rules, "hyperparams")):
        found[f"{HYPER} {i}, {sorted(numbers)}"] = _digest(*map(_value, jax.tree.leaves(numbers)))
    found[VERSIONS] = ", ".join(f"{name} {importlib.metadata.version(name)}" for name in ("jax", "flax", "optax"))
    return found


def differing(there: Mapping[str, str], here: Mapping[str, str]) -> list[str]:
    """The parts that two fingerprints do not share; of those that follow from one another only the first.

    Args:
        there: one fingerprint.
        here: another.

    Returns:
        Names of parts; empty when the runs are the same in all that has a digest.
    """
    parts = [name for name in {**here, **there} if name != VERSIONS and there.get(name) != here.get(name)]
    losses = [name for name in parts if name.startswith("loss of")]
    followers = {WEIGHTS, UPDATE} if losses else {UPDATE} if WEIGHTS in parts else set()
    return [name for name in parts if name not in followers]


def check(where: Any, there: Mapping[str, str], here: Mapping[str, str], *, state: bool = True) -> None:
    """Two fingerprints are of one run.

    Args:
        where: the place of the first, for the message.
        there: the fingerprint that was found.
        here: the one that is expected.
        state: compare what the state holds too: hyperparameters.

    Raises:
        ValueError: when they differ, with both in the message and the parts in which they do.
    """
    parts = [name for name in differing(there, here) if state or not name.startswith(HYPER)]
    if parts:
        said = "; ".join(f"{name}: {there.get(name, 'none')} there, {here.get(name, 'none')} here" for name in parts)
        versions = "" if there[VERSIONS] == here[VERSIONS] else f" (made with {there[VERSIONS]}; now {here[VERSIONS]})"
        raise ValueError(
            f"the checkpoint in {where} is of another run: fingerprint {whole(there)} there, {whole(here)} here. They "
            f"differ in {said}{versions}; expected the same points, equations, model, rules and optimiser (choose "
            "another folder to start anew, or take the model alone with pinnjax.checkpoint.restore_params)"
        )


def whole(fingerprint: Mapping[str, str]) -> str:
    """One digest of all parts."""
    return _digest(*(f"{name}: {value}" for name, value in sorted(fingerprint.items()) if name != VERSIONS))


def _items(batch: PyTree) -> list[tuple[str, PyTree]]:
    return sorted(batch.items()) if batch else []


def _outputs(jaxpr: Any, consts: list[Any], inputs: list[str]) -> list[str]:
    """The digests of a program's outputs, from those of its inputs."""
    names = dict(zip(jaxpr.invars, inputs, strict=True)) | dict(zip(jaxpr.constvars, map(_value, consts), strict=True))

    def read(atom: Any) -> str:
        return _value(atom.val) if isinstance(atom, jax.extend.core.Literal) else names[atom]

    for equation in jaxpr.eqns:
        arguments = [read(atom) for atom in equation.invars]
        inner = _called(equation)
        if inner is not None:  # walked through, so that what one output does not need stays out of its digest
            outputs = _outputs(inner.jaxpr, inner.consts, arguments)
        else:
            settings = [f"{name}={_setting(value)}" for name, value in sorted(equation.params.items())]
            digest = _digest(equation.primitive.name, *settings, *arguments)
            outputs = [f"{digest}.{i}" for i in range(len(equation.outvars))]
        names.update(zip(equation.outvars, outputs, strict=True))
    return [read(atom) for atom in jaxpr.outvars]


def _called(equation: Any) -> Any:
    if equation.primitive.name not in CALLS:
        return None
    bodies = (equation.params.get(name) for name in ("jaxpr", "call_jaxpr", "fun_jaxpr"))
    return next((body for body in bodies if isinstance(body, jax.extend.core.ClosedJaxpr)), None)


def _setting(value: Any) -> str:
    """A parameter of a primitive in words, without addresses in memory."""
    if isinstance(value, jax.extend.core.ClosedJaxpr):
        return _digest(*_outputs(value.jaxpr, value.consts, [f"input {i}" for i in range(len(value.jaxpr.invars))]))
    if isinstance(value, jax.extend.core.Jaxpr):
        free = [f"free {i}" for i in range(len(value.constvars))]
        return _digest(*_outputs(value, free, [f"input {i}" for i in range(len(value.invars))]))
    if isinstance(value, tuple | list):
        return "(" + ", ".join(map(_setting, value)) + ")"
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{name}: {_setting(value[name])}" for name in sorted(value, key=str)) + "}"
    if isinstance(value, np.ndarray | np.generic | jax.Array):
        return str(value) if isinstance(value, np.integer) else _value(value)
    if callable(value) and not isinstance(value, type):
        return getattr(value, "__name__", type(value).__name__)
    return re.sub(r"0x[0-9a-fA-F]+", "", repr(value))


def _value(value: Any) -> str:
    """The digest of an array: dtype, shape and bytes, so that what prints alike still differs."""
    if isinstance(value, str):
        return value
    if isinstance(value, jax.Array) and jax.numpy.issubdtype(value.dtype, jax.dtypes.prng_key):
        value = jax.random.key_data(value)
    array = np.asarray(value)
    return _digest(array.dtype, array.shape, array.tobytes())


def _digest(*parts: Any) -> str:
    found = hashlib.sha256()
    for part in parts:
        piece = part if isinstance(part, bytes) else str(part).encode()
        found.update(len(piece).to_bytes(8, "little") + piece)
    return found.hexdigest()[:16]
