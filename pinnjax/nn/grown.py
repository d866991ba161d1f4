"""Growth that keeps the field: a larger network that begins as a smaller one was."""

from typing import Any, TypeVar

import jax.numpy as jnp
from flax import nnx

from pinnjax import checks
from pinnjax.nn.factorized import Scaled
from pinnjax.nn.piratenet import Block

Network = TypeVar("Network", bound=nnx.Module)
LAYERS = (nnx.Linear, Scaled)  # whose sizes are those of their kernels


def grown(trained: Network, larger: Network) -> Network:
    """A larger network that begins as the field of a smaller one: to train coarse first, then fine.

    In every layer the trained weights take the first rows and columns. What leads from a new unit to an old one is
    zero; all else, from old units and new ones to new ones, is as it was drawn. So the field is what it was, up to the
    order of its sums, and its derivatives, too; the new units are noticed by the next gradient, since what they give is
    not zero. A `PirateNet` grows in depth as well: a new block, with α = 0, is the identity. A layer of an `MLP` or a
    `ModifiedMLP` cannot be the identity, so these grow in width only.

    Args:
        trained: the network so far: an `MLP`, `ModifiedMLP`, `SIREN`, `ChebyshevKAN` or `PirateNet`; or `Separable`,
            `Factorized`, `Constrained` or `WithCoefficients` of one.
        larger: one of the same classes and options, of more width, or of more blocks; it is not changed.

    Returns:
        A copy of the larger network with the trained one in it.

    Raises:
        TypeError: when one of the two is no module, or they are of different classes.
        ValueError: when the options differ, something is smaller, or there is more depth where that changes the field.

    References:
      Chen, Goodfellow, Shlens, `Net2Net: accelerating learning via knowledge transfer
      <https://arxiv.org/abs/1511.05641>`_, ICLR 2016 (growth that preserves the function, by units that are split).

      Wei, Wang, Rui, Chen, `Network morphism <https://arxiv.org/abs/1603.01670>`_, ICML 2016 (after; blocks of zeros).

    Example:
        >>> import jax.numpy as jnp
        >>> from pinnjax import nn
        >>> coarse, fine = (nn.MLP(1, "scalar", width=w, depth=2, rngs=nn.Rngs(w)) for w in (4, 9))
        >>> x = jnp.ones(1)
        >>> print(f"{grown(coarse, fine)(x) - coarse(x):.5f} {abs(fine(x) - coarse(x)) > 0.01}")
        0.00000 True
    """
    for name, network in [("trained", trained), ("larger", larger)]:
        if not isinstance(network, nnx.Module):
            raise TypeError(f"grown: {name} is {checks.described(network)}; expected an nnx.Module")
    model = nnx.clone(larger)
    before, now = dict(nnx.iter_graph(trained)), dict(nnx.iter_graph(model))
    _check_options(before, now)
    old, new = dict(nnx.to_flat_state(nnx.state(trained))), dict(nnx.to_flat_state(nnx.state(model)))
    if lost := [path for path in old if path not in new]:
        raise ValueError(f"grown: the larger network has no {_name(lost[0])}; expected all that the trained one has")
    for path, variable in new.items():
        if path in old:
            variable.set_value(_embedded(_name(path), old[path], variable))
        elif not any(isinstance(now.get(path[:k]), Block) for k in range(len(path))):
            raise ValueError(
                f"grown: the larger network has {_name(path)}, a layer that cannot begin as the identity; expected the "
                "same depth, or a PirateNet"
            )
        elif path[-1] == "alpha":
            variable.set_value(jnp.zeros_like(variable[...]))
    nnx.update(model, nnx.from_flat_state(new.items()))
    return model


def _embedded(name: str, old: nnx.Variable, new: nnx.Variable) -> Any:
    small, large = old[...], new[...]
    if small.shape == large.shape:
        return small
    fits = small.ndim == large.ndim and all(n <= m for n, m in zip(small.shape, large.shape, strict=True))
    if not fits or not isinstance(new, nnx.Param) or small.shape[:-2] != large.shape[:-2]:
        raise ValueError(
            f"grown: {name} has shape {small.shape}, and {large.shape} in the larger network; it cannot grow"
        )
    if small.ndim > 1:
        rows, columns = small.shape[-2:]
        large = large.at[..., rows:, :columns].set(0)
    return large.at[tuple(slice(n) for n in small.shape)].set(small.astype(large.dtype))


def _check_options(before: dict[Any, Any], now: dict[Any, Any]) -> None:
    """Numbers and words that say what a module is; functions cannot be compared."""
    for path, module in before.items():
        other = now.get(path)
        if other is None or not isinstance(module, nnx.Module):
            continue
        if type(module) is not type(other):
            raise TypeError(
                f"grown: {_name(path)} is a {type(module).__name__}, and a {type(other).__name__} in the larger "
                "network; expected the same class"
            )
        options, others = _options(module), _options(other)
        for option in options:
            if options[option] != others.get(option):
                raise ValueError(
                    f"grown: {option} of {_name(path)} is {options[option]}, and {others.get(option)} in the larger "
                    "network; expected the same"
                )


def _options(module: nnx.Module) -> dict[str, Any]:
    kinds = (bool, int, float, str, tuple)
    found = {name: value for name, value in vars(module).items() if isinstance(value, kinds) and name[0] != "_"}
    return {} if isinstance(module, LAYERS) else found


def _name(path: tuple[Any, ...]) -> str:
    return "/".join(map(str, path)) or "the network"
