"""Tools around a rule with scalar weights: bounds, smoothing, sums, and thresholds on gradients.

A tool takes a rule and returns one. It edits the weights that the rule keeps in its state, so a moving average goes on
from the edited weight, `optax.tree.get(state, "weights")` finds what was applied, and tools nest:
`bounded(smoothed(ntk(), 0.9), 1e-3, 1e3)`. What it did is counted in its state, and in the metrics of the train step.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Int, ScalarLike

from pinnjax import checks
from pinnjax.term_weights import _rule
from pinnjax.terms import term_gradients

PyTree = Any
Weights = dict[str, Array]
Events = dict[str, dict[str, Array]]
Edit = Callable[[Weights, Weights, dict[str, PyTree]], tuple[Weights, Events]]
EVENTS = ("held", "floored", "capped", "dead", "exploded")  # counts `{term: ()}` in states that the metrics show


class ToolState(NamedTuple):
    """State of a tool.

    Attributes:
        rule: the rule's state, with the edited weights in it.
        events: `{event: {term: ()}}`, how often the tool stepped in; empty where it always does.
    """

    rule: PyTree
    events: dict[str, dict[str, Int[Array, ""]]]


def bounded(
    rule: optax.GradientTransformation, lower: ScalarLike = 0.0, upper: ScalarLike = jnp.inf
) -> optax.GradientTransformationExtraArgs:
    """Keep a rule's weights between two bounds, and count how often each was met.

    Args:
        rule: a term-space rule with scalar weights.
        lower: dimensionless.
        upper: dimensionless, >= lower.

    Returns:
        A term-space transform that reads what the rule reads; the counts are `floored` and `capped`.

    Raises:
        ValueError: when lower > upper, or the rule has no scalar weights.

    Example:
        >>> import jax.numpy as jnp, pinnjax as pj
        >>> balancer = bounded(pj.term_weights.lr_annealing("pde", variant="norm", decay=0.0), upper=100.0)
        >>> grads = {"pde": jnp.array([3.0, 4.0]), "bc": jnp.array([1e-3, 0.0])}
        >>> balanced, state = balancer.update(grads, balancer.init(grads))
        >>> print(balanced["bc"], state.events["capped"]["bc"])  # 100, not 5000
        [0.1 0. ] 1
    """
    if isinstance(lower, int | float):
        checks.number("bounded: upper", upper, lower)

    def edit(old: Weights, new: Weights, term_grads: dict[str, PyTree]) -> tuple[Weights, Events]:
        del old, term_grads
        events = {
            "floored": {name: w < lower for name, w in new.items()},
            "capped": {name: w > upper for name, w in new.items()},
        }
        return {name: jnp.clip(w, lower, upper) for name, w in new.items()}, events

    return _tool("bounded", rule, edit, ("floored", "capped"))


def guarded(
    rule: optax.GradientTransformation, *, dead: ScalarLike = 0.0, exploding: ScalarLike = jnp.inf
) -> optax.GradientTransformationExtraArgs:
    """Hold the last weight of a term whose gradient has vanished or explodes, and count it.

    Every scalar rule holds a weight whose proposal is not finite; this adds thresholds on ‖g_t‖. To leave out the whole
    step instead, see `skip_exploding`; to floor or cap the weight, `bounded`.

    Args:
        rule: a term-space rule with scalar weights.
        dead: the term is dead while ‖g_t‖ <= dead, in units of the gradient.
        exploding: it explodes while ‖g_t‖ > exploding.

    Returns:
        A term-space transform that reads what the rule reads; the counts are `dead` and `exploded`.

    Raises:
        ValueError: when `dead` is negative, or the rule has no scalar weights.

    Example:
        >>> import jax.numpy as jnp, pinnjax as pj
        >>> balancer = guarded(pj.term_weights.lr_annealing("pde", variant="norm", decay=0.0), dead=1e-2)
        >>> grads = {"pde": jnp.array([3.0, 4.0]), "bc": jnp.array([1e-3, 0.0])}
        >>> balanced, state = balancer.update(grads, balancer.init(grads))
        >>> print(balanced["bc"], state.events["dead"]["bc"])  # still weight 1
        [0.001 0.   ] 1
    """
    checks.number("guarded: dead", dead, 0.0)

    def edit(old: Weights, new: Weights, term_grads: dict[str, PyTree]) -> tuple[Weights, Events]:
        norms = term_gradients.norms({name: term_grads[name] for name in new})
        vanished = {name: norm <= dead for name, norm in norms.items()}
        too_large = {name: norm > exploding for name, norm in norms.items()}
        kept = {name: jnp.where(vanished[name] | too_large[name], old[name], new[name]) for name in new}
        return kept, {"dead": vanished, "exploded": too_large}

    return _tool("guarded", rule, edit, ("dead", "exploded"))


def smoothed(rule: optax.GradientTransformation, decay: ScalarLike = 0.9) -> optax.GradientTransformationExtraArgs:
    """Move the weights only part of the way to where a rule puts them.

    λ ← decay λ + (1 - decay) λ_rule.

    Args:
        rule: a term-space rule with scalar weights; if it has a moving average of its own, that goes on from the
            smoothed weights.
        decay: dimensionless, in [0, 1].

    Returns:
        A term-space transform that reads what the rule reads.

    Raises:
        ValueError: when `decay` is out of range, or the rule has no scalar weights.

    Example:
        >>> import jax.numpy as jnp, pinnjax as pj
        >>> balancer = smoothed(pj.term_weights.lr_annealing("pde", variant="norm", decay=0.0), 0.5)
        >>> grads = {"pde": jnp.array([3.0, 4.0]), "bc": jnp.array([1.0, 0.0])}
        >>> balanced, state = balancer.update(grads, balancer.init(grads))
        >>> print(balanced["bc"])  # half of the way from 1 to 5
        [3. 0.]
    """
    checks.number("smoothed: decay", decay, 0.0, 1.0)

    def edit(old: Weights, new: Weights, term_grads: dict[str, PyTree]) -> tuple[Weights, Events]:
        del term_grads
        return {name: jnp.asarray(decay * old[name] + (1 - decay) * new[name]) for name in new}, {}

    return _tool("smoothed", rule, edit)


def normalized(
    rule: optax.GradientTransformation, total: ScalarLike | None = None
) -> optax.GradientTransformationExtraArgs:
    """Scale the weights to a given sum, so that a balancer does not change the learning rate.

    Args:
        rule: a term-space rule with scalar weights; not surgery, whose coefficients may sum to zero.
        total: the sum, dimensionless; the number of terms when None.

    Returns:
        A term-space transform that reads what the rule reads. Weights whose sum is not positive are left as they are.

    Raises:
        ValueError: when the rule has no scalar weights.

    Example:
        >>> import jax.numpy as jnp, pinnjax as pj
        >>> balancer = normalized(pj.term_weights.fixed({"bc": 3.0}))
        >>> grads = {"pde": jnp.array([1.0]), "bc": jnp.array([1.0])}
        >>> balanced, state = balancer.update(grads, balancer.init(grads))
        >>> print(balanced["pde"], balanced["bc"])
        [0.5] [1.5]
    """

    def edit(old: Weights, new: Weights, term_grads: dict[str, PyTree]) -> tuple[Weights, Events]:
        del old, term_grads
        current = optax.tree.sum(new)
        wanted = len(new) if total is None else total
        return {name: jnp.where(current > 0, w * wanted / current, w) for name, w in new.items()}, {}

    return _tool("normalized", rule, edit)


def _tool(
    tool: str, rule: optax.GradientTransformation, edit: Edit, events: Sequence[str] = ()
) -> optax.GradientTransformationExtraArgs:
    """The tool that replaces a rule's weights by `edit(before, proposed, gradients)`, and counts its events."""
    inner = optax.with_extra_args_support(rule)

    def init(term_params: dict[str, PyTree]) -> ToolState:
        state = inner.init(term_params)
        none = {name: jnp.zeros((), jnp.int32) for name in weights_in(tool, state)}
        return ToolState(state, dict.fromkeys(events, none))

    def update(
        term_grads: dict[str, PyTree], state: ToolState, params: PyTree = None, **extra: Any
    ) -> tuple[dict[str, PyTree], ToolState]:
        _, proposed = inner.update(term_grads, state.rule, params, **extra)
        new = weights_in(tool, proposed)
        edited, counted = edit(weights_in(tool, state.rule), new, term_grads)
        weights = {name: w.astype(new[name].dtype) for name, w in edited.items()}
        counts = jax.tree.map(jnp.add, state.events, counted)
        return _rule.scale(weights, term_grads), ToolState(optax.tree.set(proposed, _is_field, weights=weights), counts)

    return optax.GradientTransformationExtraArgs(init, update)


def weights_in(tool: str, state: PyTree) -> Weights:
    found = [value for _, value in optax.tree.get_all_with_path(state, "weights", _is_field)]
    if len(found) != 1:
        raise ValueError(
            f"{tool}: the rule's state has {len(found)} sets of term weights; expected one: put the tool around one "
            "scalar rule, and chain the result"
        )
    return found[0]


def _is_field(path: tuple, value: Any) -> bool:
    """Whether a value is a state's field of numbers by term, and not what belongs to a term of that name."""
    return isinstance(path[-1], optax.tree_utils.NamedTupleKey) and isinstance(value, dict)
