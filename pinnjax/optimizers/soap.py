"""SOAP: Adam in the eigenbasis of Shampoo's preconditioner.

References:
  Vyas, Morwani, Zhao, Kwun, Shapira, Brandfonbrener, Janson, Kakade, `SOAP: Improving and Stabilizing Shampoo using
  Adam <https://arxiv.org/abs/2409.11321>`_, 2024 (Algorithms 3 and 4). The authors' code:
  `SOAP <https://github.com/nikhilvyas/SOAP>`_.

  Wang, Bhartari, Li, Perdikaris, `Gradient alignment in physics-informed neural networks: a second-order optimization
  perspective <https://arxiv.org/abs/2502.00604>`_, 2025 (its use for physics-informed networks).
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, Int, ScalarLike

from pinnjax import checks

PyTree = Any
Matrices = tuple[Array | None, ...]  # one an axis, None for an axis that is left as it is


class SoapState(NamedTuple):
    """State of SOAP; m and n are the sizes of a leaf's axes.

    Attributes:
        mean: M, the average gradient, like the parameters.
        square: V, the average squared gradient in the eigenbasis, like the parameters.
        factors: L and R of each leaf, the averages of GGᵀ (m, m) and GᵀG (n, n).
        bases: Q_L and Q_R of each leaf, their eigenvectors.
        steps: how many were taken.
    """

    mean: PyTree
    square: PyTree
    factors: tuple[Matrices, ...]
    bases: tuple[Matrices, ...]
    steps: Int[Array, ""]


def soap(
    learning_rate: optax.ScalarOrSchedule = 3e-3,
    b1: ScalarLike = 0.95,
    b2: ScalarLike = 0.95,
    *,
    shampoo_beta: ScalarLike | None = None,
    eps: ScalarLike = 1e-8,
    weight_decay: ScalarLike = 0.0,
    precondition_every: int = 10,
    max_dimension: int = 10_000,
) -> optax.GradientTransformationExtraArgs:
    """Adam in the slowly turning eigenbasis of each layer's gradients, for coordinates that hardly interact.

    For a layer of m by n, with G its gradient, η the rate, and Adam's corrections of the bias,

      M ← β₁M + (1 - β₁) G,  V ← β₂V + (1 - β₂) (Q_LᵀGQ_R)²,  W ← W - η Q_L [Q_LᵀMQ_R / (√V + ε)] Q_Rᵀ,
      L ← βL + (1 - β) GGᵀ,  R ← βR + (1 - β) GᵀG,  and every f steps  Q ← QR(LQ), as well for R.

    As the authors' code does, and the paper does not say: the first gradient only gives the eigenbases and moves
    nothing; at a refresh the vectors, and V with them, are sorted by their eigenvalues; vectors (biases) have Adam; an
    array of more axes has one factor an axis. Where the first gradient has not the rank of an axis, as with one output,
    rounding chooses among its eigenbases, so that runs on two machines may part.

    Args:
        learning_rate: η, in the units of the parameters, or a schedule of the step.
        b1: β₁, the share of the old mean, dimensionless, in [0, 1].
        b2: β₂, the share of the old square, dimensionless, in [0, 1].
        shampoo_beta: β, the share of the old factors; None for β₂.
        eps: ε, in the units of the gradient.
        weight_decay: AdamW's, times the learning rate; 0 for none.
        precondition_every: f, steps between two refreshes, >= 1.
        max_dimension: a longer axis is left as it is.

    Returns:
        A parameter-space transform whose update is the whole step. It needs no extra args, and `params` where there is
        weight decay.

    Raises:
        ValueError: when an argument is out of range.

    Cost: a few products of (m, m), (m, n) and (n, n) a layer, O(m³ + n³) for a refresh.

    Example:
        >>> import jax.numpy as jnp
        >>> optimizer = soap(0.1)
        >>> params = jnp.zeros((2, 2))
        >>> state = optimizer.init(params)
        >>> for gradient in (jnp.eye(2), 3 * jnp.eye(2)):  # the first is only learnt from
        ...     updates, state = optimizer.update(gradient, state, params)
        >>> print(jnp.diag(updates).round(3))  # Adam's first step, in a basis where the gradient is diagonal
        [-0.1 -0.1]
    """
    for name, beta in {"b1": b1, "b2": b2, "shampoo_beta": b2 if shampoo_beta is None else shampoo_beta}.items():
        checks.number(f"soap: {name}", beta, 0.0, 1.0)
    checks.number("soap: eps", eps, 0.0)
    checks.number("soap: precondition_every", precondition_every, 1)
    checks.number("soap: max_dimension", max_dimension, 0)
    beta = b2 if shampoo_beta is None else shampoo_beta
    undecayed = isinstance(weight_decay, int | float) and weight_decay == 0
    return optax.chain(
        _scale_by_soap(b1, b2, beta, eps, precondition_every, max_dimension),
        *([] if undecayed else [optax.add_decayed_weights(weight_decay)]),
        optax.scale_by_learning_rate(learning_rate),
    )


def _scale_by_soap(
    b1: ScalarLike, b2: ScalarLike, beta: ScalarLike, eps: ScalarLike, every: ScalarLike, max_dimension: int
) -> optax.GradientTransformationExtraArgs:
    def init(params: PyTree) -> SoapState:
        factors = tuple(_matrices(leaf, max_dimension, jnp.zeros) for leaf in jax.tree.leaves(params))
        bases = tuple(
            _matrices(leaf, max_dimension, lambda s, d: jnp.eye(s[0], dtype=d)) for leaf in jax.tree.leaves(params)
        )
        zeros = lambda: jax.tree.map(lambda leaf: jnp.zeros(jnp.shape(leaf), _precision(leaf)), params)
        return SoapState(zeros(), zeros(), factors, bases, jnp.zeros((), jnp.int32))

    def update(grads: PyTree, state: SoapState, params: PyTree = None, **extra: Any) -> tuple[PyTree, SoapState]:
        del params, extra
        leaves, treedef = jax.tree.flatten(grads)
        gs = [g.astype(_precision(g)) for g in leaves]
        first = state.steps == 0
        average = lambda share, old, new: share * old + (1 - share) * new
        learnt = lambda new, old: jnp.where(first, old, new)

        means, squares, updates = [], [], []
        for g, m, v, q in zip(gs, jax.tree.leaves(state.mean), jax.tree.leaves(state.square), state.bases, strict=True):
            m, v = learnt(average(b1, m, g), m), learnt(average(b2, v, _turned(g, q) ** 2), v)
            correction = jnp.sqrt(1 - b2**state.steps) / jnp.where(first, 1, 1 - b1**state.steps)
            updates.append((correction * _turned_back(_turned(m, q) / (jnp.sqrt(v) + eps), q)).astype(g.dtype))
            means.append(m)
            squares.append(v)

        factors = tuple(
            tuple(None if l is None else average(beta, l, _outer(g, axis)) for axis, l in enumerate(ls))
            for g, ls in zip(gs, state.factors, strict=True)
        )
        squares, bases = jax.lax.cond(
            first,
            lambda: (squares, jax.tree.map(lambda l: jnp.linalg.eigh(l)[1][:, ::-1], factors)),
            lambda: jax.lax.cond(
                state.steps % every == 0,
                lambda: _refreshed(squares, factors, state.bases),
                lambda: (squares, state.bases),
            ),
        )
        updates = [jnp.where(first, 0, u).astype(g.dtype) for u, g in zip(updates, leaves, strict=True)]
        whole = lambda flat: jax.tree.unflatten(treedef, flat)
        return whole(updates), SoapState(
            whole(means), whole(squares), factors, bases, optax.safe_increment(state.steps)
        )

    return optax.GradientTransformationExtraArgs(init, update)


def _precision(leaf: Array) -> Any:
    return jnp.promote_types(jnp.result_type(leaf), jnp.float32)  # eigenvectors of half precision are none


def _matrices(leaf: Array, max_dimension: int, make: Any) -> Matrices:
    shape = jnp.shape(leaf)
    return tuple(
        make((size, size), _precision(leaf)) if len(shape) > 1 and size <= max_dimension else None for size in shape
    )


def _outer(g: Array, axis: int) -> Float[Array, "n n"]:
    others = [i for i in range(g.ndim) if i != axis]
    return jnp.tensordot(g, g, axes=(others, others))


def _turned(x: Array, bases: Matrices, side: int = 0) -> Array:
    """Q_LᵀxQ_R, for any number of axes."""
    for axis, q in enumerate(bases):
        if q is not None:
            x = jnp.moveaxis(jnp.tensordot(x, q, axes=(axis, side)), -1, axis)
    return x


def _turned_back(x: Array, bases: Matrices) -> Array:
    """Q_L x Q_Rᵀ."""
    return _turned(x, bases, 1)


def _refreshed(
    squares: list[Array], factors: tuple[Matrices, ...], bases: tuple[Matrices, ...]
) -> tuple[list[Array], tuple[Matrices, ...]]:
    """One step of power iteration and a QR decomposition (Algorithm 4); V goes with its eigenvectors."""
    new_squares, new_bases = [], []
    for v, ls, qs in zip(squares, factors, bases, strict=True):
        turned: list[Array | None] = []
        for axis, (l, q) in enumerate(zip(ls, qs, strict=True)):
            if l is None or q is None:
                turned.append(None)
                continue
            order = jnp.argsort(-jnp.sum(q * (l @ q), axis=0))
            v = jnp.take(v, order, axis=axis)
            turned.append(jnp.linalg.qr(l @ q[:, order])[0])
        new_squares.append(v)
        new_bases.append(tuple(turned))
    return new_squares, tuple(new_bases)
