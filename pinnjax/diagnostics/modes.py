"""The error by Fourier mode: which frequencies a network has not learnt (spectral bias).

References:
  Rahaman et al., `On the spectral bias of neural networks <https://arxiv.org/abs/1806.08734>`_, International
  Conference on Machine Learning, 2019.
"""

import jax.numpy as jnp
from jaxtyping import Array, Float


def error_by_mode(
    values: Float[Array, "*n"], reference: Float[Array, "*n"], *, axis: int = -1
) -> tuple[Float[Array, " k"], Float[Array, " k"]]:
    """Root mean square of the error and of the reference at each frequency along one axis of an equidistant grid.

    A field that is not periodic is tapered by a Hann window, so that its ends do not show at all frequencies.

    Args:
        values: the field on the grid.
        reference: the solution there.
        axis: along which frequencies are counted.

    Returns:
        The error's and the reference's amplitude, `(n // 2 + 1,)` each, in the units of the field; the index is the
        number of waves in the interval.

    Raises:
        ValueError: when the shapes differ.

    Example:
        >>> import jax.numpy as jnp
        >>> x = 2 * jnp.pi * jnp.arange(64) / 64
        >>> error, solution = error_by_mode(jnp.sin(3 * x), jnp.sin(3 * x) + jnp.sin(9 * x))
        >>> print(int(jnp.argmax(error)), bool(error[3] < 1e-6), bool(jnp.isclose(error[9], solution[9], rtol=1e-4)))
        9 True True
    """
    if values.shape != reference.shape:
        raise ValueError(
            f"error_by_mode: the field has shape {values.shape}; expected the reference's, {reference.shape}"
        )
    n = reference.shape[axis]
    taper = jnp.hanning(n + 1)[:-1]
    taper = taper / jnp.sqrt(jnp.mean(taper**2))

    def amplitude(field: Array) -> Float[Array, " k"]:
        modes = jnp.fft.rfft(jnp.moveaxis(field, axis, -1) * taper.reshape((1,) * (field.ndim - 1) + (n,))) / n
        return jnp.sqrt(jnp.mean(jnp.abs(modes) ** 2, axis=tuple(range(modes.ndim - 1))))

    return amplitude(values - reference), amplitude(reference)
