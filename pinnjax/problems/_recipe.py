"""What a recipe is: one way to train on a problem."""

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

import optax

from pinnjax.sampling import Sampler
from pinnjax.terms.chunks import Chunk


@dataclasses.dataclass(frozen=True)
class Recipe:
    """One way to train on a problem, in one phase or in several.

    Attributes:
        summary: what it is, in a few words.
        model: network class, called with the problem's `network`, `param_dtype` and `rngs`. With `before` it is that of
            the first phase, and what stands here is not looked at.
        schedule: learning rates, a function of the number of steps, since some schedules span the run; 1e-3 throughout
            where nothing is said, for optimisers that take none.
        steps: default number of steps; of this phase alone.
        optimizer: what makes an optimiser of the schedule.
        term_weights: term-space transform.
        point_weights: point-space transform.
        points: number of points, where not the problem's own.
        resampled: whether points are drawn anew in every step, where no `sampler` is given; None does so unless
            `point_weights` are, which often belong to points.
        sampler: function of the numbers of points and the dtype; terms that it does not draw keep their points, all of
            them where it returns None.
        chunk: points of a term that are differentiated at once, as in `pinnjax.train_step`.
        built_in: terms that the model satisfies as it is made, and that are left out of the loss.
        published: relative L2 error in the source; None where there is none.
        before: what comes first: the phase before, whose field this one goes on with.
        grown: network class, called as `model` is: with `before`, what its network becomes, which begins as the same
            field (`pinnjax.nn.grown`), such as one of more width; None where the network stays.
        keeps: what else goes on, where it can, as `pinnjax.Phase` says.
        dtype: "float32" or "float64" of parameters and points; None for that of the phase before, or float32. Who runs
            the recipe may ask for another one.

    Raises:
        ValueError: when there is no model, or the dtype is none of the two.

    Example:
        >>> import pinnjax as pj
        >>> first = Recipe("Adam", pj.nn.MLP, lambda steps: optax.cosine_decay_schedule(1e-3, steps), 1000)
        >>> second = lambda rate: pj.optimizers.ssbroyden()
        >>> recipe = Recipe("SSBroyden after Adam", steps=4000, optimizer=second, dtype="float64", before=first)
        >>> print([(phase.summary, phase.steps) for phase in recipe.phases])
        [('Adam', 1000), ('SSBroyden after Adam', 4000)]
    """

    summary: str
    model: Callable[..., Any] | None = None
    schedule: Callable[[int], optax.ScalarOrSchedule] = lambda steps: 1e-3
    steps: int = 1000
    optimizer: Callable[[optax.ScalarOrSchedule], optax.GradientTransformation] = optax.adam
    term_weights: optax.GradientTransformation | None = None
    point_weights: optax.GradientTransformation | None = None
    points: Mapping[str, int] | None = None
    resampled: bool | None = None
    sampler: Callable[[Mapping[str, int], Any], Sampler | None] | None = None
    chunk: Chunk = "auto"
    built_in: tuple[str, ...] = ()
    published: float | None = None
    before: "Recipe | None" = None
    grown: Callable[..., Any] | None = None
    keeps: tuple[str, ...] = ("point_weights", "term_weights")
    dtype: str | None = None

    def __post_init__(self) -> None:
        """Say at once what is missing."""
        if self.model is None and self.before is None:
            raise ValueError(
                f"Recipe {self.summary!r}: model is None, and nothing comes before it; expected a network class, or "
                "before=Recipe(...), whose model goes on"
            )
        if self.grown is not None and self.before is None:
            raise ValueError(f"Recipe {self.summary!r}: grown is given, but nothing comes before; expected before=")
        if self.dtype not in (None, "float32", "float64"):
            raise ValueError(f'Recipe {self.summary!r}: dtype is {self.dtype!r}; expected "float32", "float64" or None')

    @property
    def phases(self) -> "tuple[Recipe, ...]":
        """What comes first, and so on to this one, the last."""
        return (*(() if self.before is None else self.before.phases), self)

    def in_all_phases(self, **changes: Any) -> "Recipe":
        """The recipe with these fields changed in every phase, such as rules; a model in the first one."""
        before = None if self.before is None else self.before.in_all_phases(**changes)
        return dataclasses.replace(self, before=before, **changes)
