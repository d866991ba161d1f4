"""What a checkpoint is: arrays under numbers, and a table of their names with a digest of all."""

import hashlib
import json
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

History = dict[str, np.ndarray]
FORMAT = 3  # 1 had no digest, 2 had the variables of flax among the names


class OtherFormat(Exception):
    """It was written by another version."""


def packed(
    leaves: Mapping[str, np.ndarray], history: History, about: Mapping[str, Any]
) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """Arrays and the table.

    Names are written apart from the arrays, so that any name will do; orbax refuses arrays without elements.

    Example:
        >>> arrays, names = packed({".params": np.ones(2)}, {"loss": np.zeros(0)}, {"begin": 0})
        >>> print(list(arrays), names["history"], unpacked(arrays, names)[2])
        ['state 0'] [['loss', [0], 'float64']] {'begin': 0}
    """
    of_kind = {"state": leaves, "history": history}
    arrays = {f"{kind} {i}": leaf for kind, some in of_kind.items() for i, leaf in enumerate(some.values())}
    names: dict[str, Any] = {
        kind: [[name, list(leaf.shape), leaf.dtype.name] for name, leaf in some.items()]
        for kind, some in of_kind.items()
    }
    names |= {"about": dict(about), "format": FORMAT}
    names["digest"] = _digest(names, arrays.values())
    return {name: array for name, array in arrays.items() if array.size}, names


def unpacked(
    arrays: Mapping[str, Any], names: Mapping[str, Any]
) -> tuple[dict[str, np.ndarray], History, dict[str, Any]]:
    """The state's leaves by name, history, and what was said of the run.

    Raises:
        OtherFormat: when it has another format.
        ValueError: when its digest says that it is not what was written.
    """
    if names.get("format") != FORMAT:
        raise OtherFormat
    found: dict[str, dict[str, np.ndarray]] = {}
    for kind in ("state", "history"):
        found[kind] = {
            name: np.asarray(arrays[f"{kind} {i}"]) if 0 not in shape else np.zeros(shape, dtype)
            for i, (name, shape, dtype) in enumerate(names[kind])
        }
    rest = {name: value for name, value in names.items() if name != "digest"}
    if names["digest"] != _digest(rest, [*found["state"].values(), *found["history"].values()]):
        raise ValueError("its digest is another")
    return found["state"], found["history"], names["about"]


def _digest(names: Mapping[str, Any], arrays: Iterable[np.ndarray]) -> str:
    digest = hashlib.sha256(json.dumps(names, sort_keys=True).encode())
    for array in arrays:
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()
