"""A trained field as a file: a compiled program that needs jax, and neither this package nor the training code.

The file is what `jax.export` writes, StableHLO in a flat buffer with a number of points that is left open, and after it
a digest, so that a file that is cut off or damaged is known before it is read. Nothing is unpickled or run as Python.
"""

import hashlib
import pathlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from pinnjax import checks
from pinnjax.terms import bridge
from pinnjax.train.state import TrainState

FIELD = "u"  # the name of the field itself
PLATFORMS = ("cpu", "cuda", "tpu")
KNOWN = (*PLATFORMS, "rocm")
MARK = b"pinnjax field 1 "  # before the digest, at the end of the file: what reads flat buffers does not see it


def export(
    model: Any,
    in_features: int,
    *,
    derivatives: Mapping[str, Callable[[Any, Float[Array, " d"]], Array]] | None = None,
    dtype: Any = None,
    platforms: Sequence[str] = PLATFORMS,
    path: str | pathlib.Path | None = None,
) -> bytes:
    """A field, and what is made of it at a point, as a program for any number of points.

    Args:
        model: an `nnx.Module`, a pair `(apply, params)`, a state of `train_step`, or a field `u(x)`.
        in_features: number d of coordinates.
        derivatives: `{name: function of (u, x)}`, written as residuals are: whatever else the program is to give.
        dtype: of the points, float32 or float64; None for that of the parameters. The program computes in it.
        platforms: what it can run on, of "cpu", "cuda", "tpu" and "rocm".
        path: file to write; None to write none.

    Returns:
        What the file holds. `load` reads it, and so does `jax.export.deserialize(bytes).call(x)` where there is
        no pinnjax.

    Raises:
        ValueError, TypeError: when a name is taken, a platform is unknown, or the dtype is none of floating numbers;
            and what the field or a derivative raises for a point of so many coordinates.

    Example:
        >>> import jax.numpy as jnp, pinnjax as pj
        >>> u = (lambda a, x: a * x[0] ** 3 + x[1], jnp.float32(2.0))
        >>> file = export(u, 2, derivatives={"u_x": lambda u, x: pj.diff(u, 0)(x)})
        >>> found = load(file)(jnp.array([[1.0, 0.5], [2.0, 0.0]]))
        >>> print(found["u"], found["u_x"])
        [ 2.5 16. ] [ 6. 24.]
    """
    checks.count("export: in_features", in_features)
    derivatives = dict(derivatives or {})
    if FIELD in derivatives:
        raise ValueError(f'export: a derivative is called "{FIELD}", as the field is; expected another name')
    if not platforms or set(platforms) - set(KNOWN):
        raise ValueError(f"export: platforms are {platforms}; expected some of {', '.join(KNOWN)}")
    definition, params, constants = _taken_apart(model)
    dtype = checks.floating("export: dtype", _dtype(params) if dtype is None else dtype)

    def at_point(x: Float[Array, " d"]) -> dict[str, Array]:
        u = bridge.field(definition, params, constants)
        return {FIELD: u(x), **{name: function(u, x) for name, function in derivatives.items()}}

    with _precision(dtype):
        params, constants = (jax.tree.map(lambda leaf: _cast(leaf, dtype), tree) for tree in (params, constants))
        points = jax.ShapeDtypeStruct(jax.export.symbolic_shape(f"n, {in_features}"), dtype)
        program = jax.export.export(jax.jit(jax.vmap(at_point)), platforms=tuple(platforms))(points)
        content = bytes(program.serialize())
    written = content + MARK + hashlib.sha256(content).digest()
    if path is not None:
        pathlib.Path(path).write_bytes(written)
    return written


def load(source: str | pathlib.Path | bytes) -> Callable[[Any], dict[str, jax.Array]]:
    """The program that `pinnjax.export` wrote.

    Args:
        source: the file, or what it holds.

    Returns:
        A function of points `(n, d)` that gives `{"u": (n, ...), name: (n, ...)}`. It can be jitted and composed, and
        runs on what it was exported for; it has no gradients, since those that are wanted are in it.

    Raises:
        ValueError: when the file is no such program, or the points are not as it expects them.

    Example:
        >>> load(b"no program")
        Traceback (most recent call last):
        ValueError: load: 10 bytes is no exported field, or is cut off; expected one of pinnjax.export
    """
    written = source if isinstance(source, bytes) else pathlib.Path(source).read_bytes()
    name = f"{len(written)} bytes" if isinstance(source, bytes) else str(source)
    content, digest = written[: -hashlib.sha256().digest_size], written[-hashlib.sha256().digest_size :]
    if not content.endswith(MARK):
        raise ValueError(f"load: {name} is no exported field, or is cut off; expected one of pinnjax.export")
    content = content.removesuffix(MARK)
    if hashlib.sha256(content).digest() != digest:
        raise ValueError(f"load: {name} is damaged: its digest is another; expected one of pinnjax.export")
    program = jax.export.deserialize(bytearray(content))
    (points,) = program.in_avals
    d, dtype = int(points.shape[1]), points.dtype

    def field(x: Any) -> dict[str, jax.Array]:
        shape = jnp.shape(x)
        if len(shape) != 2 or shape[1] != d:
            raise ValueError(f"the exported field was given points of shape {shape}; expected (n, {d})")
        with _precision(dtype):
            return program.call(jnp.asarray(x, dtype))

    return field


def _taken_apart(model: Any) -> tuple[Any, Any, Any]:
    if isinstance(model, TrainState):
        return model.definition, model.params, model.constants
    return bridge.split(model) if isinstance(model, tuple) or bridge.is_module(model) else bridge.of_field(model)


def _precision(dtype: np.dtype) -> Any:
    return jax.enable_x64(dtype == np.float64 or bool(jax.config.read("jax_enable_x64")))


def _dtype(params: Any) -> np.dtype:
    kinds = [leaf.dtype for leaf in jax.tree.leaves(params) if hasattr(leaf, "dtype")]
    return jnp.result_type(*kinds) if kinds else jnp.result_type(float)


def _cast(leaf: Any, dtype: np.dtype) -> Any:
    return leaf.astype(dtype) if hasattr(leaf, "dtype") and jnp.issubdtype(leaf.dtype, jnp.floating) else leaf
