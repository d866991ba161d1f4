"""A plugin that runs the annotations: `pytest -p tests.annotations` checks shapes, dtypes and kinds in each call."""

import beartype
import jaxtyping

# Where a float is expected, an integer is good: Python's numeric tower.
CHECK = beartype.beartype(conf=beartype.BeartypeConf(is_pep484_tower=True))
# JAX makes these with whatever it puts into a tree: shapes, or arrays with an axis of seeds.
NODES = {"TrainState.__init__", "PerPointMemoryState.__init__", "Draw.__init__"}


def checked(function):
    return function if getattr(function, "__qualname__", "") in NODES else CHECK(function)


jaxtyping.install_import_hook("pinnjax", "tests.annotations.checked")
