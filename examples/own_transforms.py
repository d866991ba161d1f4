"""Your own optax transform in each of the three spaces, ten lines each, chained with those of pinnjax.

    u'' = -π² sin(πx) on [0, 1],  u(0) = u(1) = 0,  with the solution u = sin(πx)

Run `python examples/own_transforms.py [STEPS]`.
"""

import sys

import jax
import jax.numpy as jnp
import optax

import pinnjax as pj


def pde(u, x):
    return pj.diff(u, 0, 0)(x) + jnp.pi**2 * jnp.sin(jnp.pi * x[0])


def bc(u, x):
    return u(x)


def boundary_layer(strength):
    """Point space, {term: (n,)}: points near x = 0 weigh more."""

    def init(residuals):
        return optax.EmptyState()

    def update(weights, state, params=None, *, points, **extra):
        near = 1 + strength * jnp.exp(-10 * points["pde"][:, 0])
        return weights | {"pde": weights["pde"] * near}, state

    return optax.GradientTransformationExtraArgs(init, update)


def normalize_terms():
    """Term space, {term: like params}: each term's gradient to unit length, times its loss."""

    def init(term_params):
        return optax.EmptyState()

    def update(term_grads, state, params=None, *, losses, **extra):
        scale = {name: losses[name] / (1e-12 + optax.tree.norm(g)) for name, g in term_grads.items()}
        return {name: optax.tree.scale(scale[name], g) for name, g in term_grads.items()}, state

    return optax.GradientTransformationExtraArgs(init, update)


def trust_radius(radius):
    """Parameter space, like params: no update longer than `radius`."""

    def init(params):
        return optax.EmptyState()

    def update(updates, state, params=None, **extra):
        shrink = jnp.minimum(1.0, radius / (1e-12 + optax.tree.norm(updates)))
        return optax.tree.scale(shrink, updates), state

    return optax.GradientTransformationExtraArgs(init, update)


def main(steps=3000):
    train = pj.train_step(
        {"pde": pde, "bc": bc},
        optax.chain(optax.adam(3e-3), trust_radius(0.1)),
        point_weights=optax.chain(pj.point_weights.self_adaptive(1e-3), boundary_layer(2.0)),
        term_weights=optax.chain(normalize_terms(), pj.term_weights.fixed({"bc": 10.0})),
    )
    batch = {"pde": jnp.linspace(0.0, 1.0, 64)[:, None], "bc": jnp.array([[0.0], [1.0]])}
    model = pj.nn.MLP(1, "scalar", width=16, depth=2, rngs=pj.nn.Rngs(0))
    state, _ = pj.fit(train, train.init(model, batch), batch, steps=steps)
    grid = jnp.linspace(0.0, 1.0, 201)[:, None]
    error = float(pj.relative_l2(train.model(state), grid, jax.vmap(lambda x: jnp.sin(jnp.pi * x[0]))(grid)))
    print(f"relative L2 error {error:.1e}")
    return error


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
