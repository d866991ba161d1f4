"""What `pinnjax.solve` returns."""

import dataclasses
import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from pinnjax.doctor import Diagnosis
from pinnjax.solver._accuracy import Accuracy


@dataclasses.dataclass(frozen=True, repr=False)
class Solution:
    """What `pinnjax.solve` found.

    Attributes:
        u: the field, one point `(d,)` to `()` or `(m,)`; computed in double precision, whatever the caller's is.
        model: the module, or the pair `(apply, params)`, that the field is.
        accuracy: what its relative L2 error is believed to be, and from what.
        relative_l2: the error against the reference, by which nothing was chosen; None without one.
        coefficients: `{name: value}` of unknown coefficients; empty where there are none.
        history: of training, as `pinnjax.fit` returns it, with the loss at fresh points, `evaluation/validation`.
        recipe: Python that makes the same field from the same `terms` and `points`.
        notes: what there is to say of the points.
        seconds: wall time, compilation included.
        examine: `examine(**options)`, what `pinnjax.diagnose` says of plain training with the same network and points:
            why is this equation hard? Options as there.
    """

    u: Callable[[Array], Array]
    model: Any
    accuracy: Accuracy
    relative_l2: float | None
    coefficients: dict[str, float]
    history: dict[str, np.ndarray]
    recipe: str
    notes: tuple[str, ...]
    seconds: float
    examine: Callable[..., Diagnosis]

    @functools.cached_property
    def diagnosis(self) -> Diagnosis:
        """`examine()`, when it is first asked for; some programs are compiled, and 1000 steps of Adam done."""
        return self.examine()

    @property
    def solved(self) -> bool:
        """Whether there is a solution; `accuracy.failure` says why not."""
        return not self.accuracy.failure

    def __str__(self) -> str:
        """The verdict, and what there is to say of the points."""
        error = "" if self.relative_l2 is None else f"The error against the reference is {self.relative_l2:.1e}."
        found = ", ".join(f"{name} = {value:.6g}" for name, value in self.coefficients.items())
        return "\n".join(filter(None, [str(self.accuracy), found, error, *self.notes]))

    def __repr__(self) -> str:
        """The verdict."""
        return f"<Solution after {self.seconds:.0f} s: {self.accuracy}>"


def precise(u: Callable[[Array], Array]) -> Callable[[Array], Array]:
    """The field, computed in double precision and given in JAX's default one, that of the caller."""

    def field(x: Float[Array, " d"]) -> Float[Array, "*m"]:
        dtype = jnp.result_type(float)
        with jax.enable_x64(True):
            return u(jnp.asarray(x, jnp.float64)).astype(dtype)

    return field
