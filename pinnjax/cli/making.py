"""`pinnjax new`: a file to start from."""

import argparse
import pathlib

TEXT = '''"""An equation of your own: `pinnjax solve {name}:equation` solves it, and says what the solution is worth."""

import jax.numpy as jnp
import pinnjax as pj


def heat(u, x):
    """u_t = 0.1 u_xx, at one point x = (t, x): a residual is what should be zero."""
    return pj.diff(u, 0)(x) - 0.1 * pj.diff(u, 1, 1)(x)


def start(u, x):
    """At t = 0 the field is a sine."""
    return u(x) - jnp.sin(jnp.pi * x[1])


def walls(u, x):
    """At both ends it is zero."""
    return u(x)


def inside(key, n):
    """Random points of the domain, n of them, new ones in training."""
    return pj.sampling.box(key, [0.0, 0.0], [1.0, 1.0], n)


def at_the_start(key, n):
    return inside(key, n).at[:, 0].set(0.0)


def at_the_walls(key, n):
    x = inside(key, n)
    return x.at[:, 1].set(jnp.round(x[:, 1]))


def equation():
    """The arguments of pinnjax.solve. Without an exact solution leave out the reference."""
    return {{
        "terms": {{"heat": heat, "start": start, "walls": walls}},
        "points": {{"heat": inside, "start": at_the_start, "walls": at_the_walls}},
        "reference": lambda x: jnp.exp(-0.1 * jnp.pi**2 * x[0]) * jnp.sin(jnp.pi * x[1]),
    }}
'''


def run(options: argparse.Namespace) -> int:
    """Write NAME.py, unless it is there."""
    if not options.name.isidentifier():
        raise ValueError(f"name is {options.name!r}; expected a name of a Python module, such as mine")
    path = pathlib.Path(f"{options.name}.py")
    try:
        with path.open("x") as file:
            file.write(TEXT.format(name=options.name))
    except FileExistsError:
        raise ValueError(f"{path} is there already; expected another name") from None
    print(f"{path} is written; solve it with: pinnjax solve {options.name}:equation")
    return 0
