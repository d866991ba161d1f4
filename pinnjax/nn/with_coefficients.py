"""Unknown coefficients of an equation, trained with the field."""

from collections.abc import Mapping
from typing import Any

import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float

from pinnjax import checks


class WithCoefficients(nnx.Module):
    """A field, and unknown coefficients of its equations, which residuals read as `u.nu`.

    c = c_0 e^p: p is trained and begins at 0, so that a coefficient of any size moves as a network's parameters do,
    and keeps the sign of its first guess c_0.

    Args:
        network: the field, `()` or `(m,)`.
        guesses: `{name: c_0}`, each not zero, in the coefficient's own units.
        param_dtype: of the p; JAX's default when None.

    Raises:
        TypeError: when the network is no function of a point.
        ValueError: when a name is no attribute's, or is one of the network's own, or a guess is zero or not finite.

    Example:
        >>> from pinnjax import nn
        >>> u = WithCoefficients(nn.MLP(2, "scalar", width=4, depth=1, rngs=nn.Rngs(0)), {"nu": 0.5})
        >>> print(u.nu, u(jnp.zeros(2)).shape)
        0.5 ()
    """

    def __init__(self, network: Any, guesses: Mapping[str, float], param_dtype: Any = None):
        if not callable(network) or isinstance(network, type):
            raise TypeError(f"WithCoefficients: network is {checks.described(network)}; expected a function of a point")
        for name, guess in guesses.items():
            if not str(name).isidentifier() or hasattr(network, str(name)) or name in ("network", "names", "guesses"):
                raise ValueError(
                    f"WithCoefficients: {name!r} is no name for a coefficient; expected an identifier that is not an "
                    "attribute of the network, since residuals read it as u.name"
                )
            checks.number(f"WithCoefficients: the first guess of {name}", guess, -1e300, 1e300)
            if guess == 0:
                raise ValueError(f"WithCoefficients: the first guess of {name} is 0; expected its sign and rough size")
        self.network = network
        self.names = tuple(guesses)
        self.guesses = tuple(float(guess) for guess in guesses.values())
        self.exponents = nnx.Param(jnp.zeros(len(guesses), param_dtype or jnp.result_type(float)))

    def __call__(self, x: Float[Array, " d"]) -> Float[Array, "*m"]:
        """The field at one point."""
        return self.network(x)

    def __getattr__(self, name: str) -> Any:
        """A coefficient, where it has the name."""
        names = self.__dict__.get("names", ())
        if name not in names:
            raise AttributeError(f"{type(self).__name__!r} has no attribute or coefficient {name!r}; it has {names}")
        i = names.index(name)
        return self.guesses[i] * jnp.exp(self.exponents[...][i])
