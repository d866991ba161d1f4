"""Point sets in a box: grids and low-discrepancy sequences, as a pool or as fixed points.

Sobol, Halton and Latin hypercubes come from `scipy.stats.qmc`, outside the program; `r2` needs no table and a shift by
its key makes a new set inside it.
"""

from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from pinnjax import checks
from pinnjax.sampling.box import Corner, corners

QMC = {"sobol": "Sobol", "halton": "Halton", "latin_hypercube": "LatinHypercube"}  # names in scipy.stats.qmc


def grid(
    lower: Corner, upper: Corner, shape: Sequence[int], dtype: jax.typing.DTypeLike | None = None, *, ends: bool = True
) -> Float[Array, "n d"]:
    """A grid with `shape[i]` equidistant coordinates along axis i, the first varying slowest.

    Args:
        lower: corner, `(d,)`.
        upper: corner, `(d,)`.
        shape: points along each axis, >= 1.
        dtype: of the points.
        ends: whether the faces of the box belong to the grid; if not, points are the centres of equal cells.

    Example:
        >>> print(grid([0.0, 0.0], [1.0, 1.0], (2, 2), ends=False).tolist())
        [[0.25, 0.25], [0.25, 0.75], [0.75, 0.25], [0.75, 0.75]]
    """
    low, high = corners(lower, upper, dtype)
    if not isinstance(shape, Sequence | np.ndarray) or len(shape) != low.size:
        raise ValueError(f"grid: shape is {shape!r}; expected {low.size} whole numbers >= 1")
    for n in shape:
        checks.count(f"grid: a number in shape {tuple(shape)}", n)
    lines = []
    for i, n in enumerate(shape):
        where = jnp.linspace(0, 1, n, dtype=low.dtype) if ends else (jnp.arange(n, dtype=low.dtype) + 0.5) / n
        lines.append(low[i] + (high[i] - low[i]) * where)
    return jnp.stack(jnp.meshgrid(*lines, indexing="ij"), axis=-1).reshape(-1, low.size)


def quasi(
    kind: str, lower: Corner, upper: Corner, n: int, dtype: jax.typing.DTypeLike | None = None, *, seed: int = 0
) -> Float[Array, "n d"]:
    """A scrambled low-discrepancy set: `"sobol"` (best when n is a power of two), `"halton"` or `"latin_hypercube"`.

    Args:
        kind: a name above.
        lower: corner, `(d,)`.
        upper: corner, `(d,)`.
        n: number of points.
        dtype: of the points.
        seed: of the scrambling.

    Raises:
        ValueError: when the kind is unknown.

    Example:
        >>> x = quasi("latin_hypercube", [0.0, 0.0], [1.0, 1.0], 4)
        >>> print(sorted((x[:, 0] * 4).astype(int).tolist()))  # one point in each quarter
        [0, 1, 2, 3]
    """
    import scipy.stats.qmc  # slow to import, and only this function needs it

    if kind not in QMC:
        raise ValueError(f"quasi: kind is {kind!r}; expected one of {list(QMC)}")
    checks.count("quasi: n", n)
    low, high = corners(lower, upper, dtype)
    engine = getattr(scipy.stats.qmc, QMC[kind])(low.size, rng=np.random.default_rng(seed))
    # scipy warns of Sobol sets whose size is no power of two; the first points of the next power are the same.
    unit = engine.random_base2(int(np.ceil(np.log2(n))))[:n] if kind == "sobol" else engine.random(n)
    return low[None] + (high - low)[None] * jnp.asarray(unit, low.dtype)


def r2(
    lower: Corner, upper: Corner, n: int, dtype: jax.typing.DTypeLike | None = None, *, key: Array | None = None
) -> Float[Array, "n d"]:
    """Roberts' R2 sequence, x_k = (½ + k a) mod 1 with a_i = φ_d^-i and φ_d^(d+1) = φ_d + 1, shifted by the key.

    References:
      Roberts, `The unreasonable effectiveness of quasirandom sequences
      <https://extremelearning.com.au/unreasonable-effectiveness-of-quasirandom-sequences/>`_, 2018.

    Args:
        lower: corner, `(d,)`.
        upper: corner, `(d,)`.
        n: number of points.
        dtype: of the points.
        key: of a random shift of the whole set; none when None.

    Example:
        >>> print([f"{x:.3f}" for x in r2([0.0], [1.0], 3)[:, 0]])  # steps of the golden ratio
        ['0.118', '0.736', '0.354']
    """
    checks.count("r2: n", n)
    if key is not None:
        checks.key("r2: key", key)
    low, high = corners(lower, upper, dtype)
    phi = 2.0
    for _ in range(64):
        phi = (1 + phi) ** (1 / (low.size + 1))
    steps = np.arange(1, n + 1)[:, None] * phi ** -np.arange(1.0, low.size + 1)[None, :]  # double precision
    unit = jnp.asarray(np.mod(0.5 + steps, 1.0), low.dtype)
    if key is not None:
        unit = jnp.mod(unit + jax.random.uniform(key, (1, low.size), low.dtype), 1.0)
    return low[None] + (high - low)[None] * unit
