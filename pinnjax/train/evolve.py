"""Evolving in time: coefficients of waves in space obey an ordinary differential equation, which is integrated.

References:
  Du, Zaki, `Evolutional deep neural network <https://arxiv.org/abs/2103.09959>`_, Physical Review E 104, 2021: the
  residual at one time gives the time derivative of what is trained, by least squares.

  Bruna, Peherstorfer, Vanden-Eijnden, `Neural Galerkin schemes with active learning for high-dimensional evolution
  equations <https://arxiv.org/abs/2203.01360>`_, Journal of Computational Physics 496, 2024: the same, implicitly.
"""

import time
import warnings
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

import jax
import numpy as np

from pinnjax import checks, nn
from pinnjax.nn.mlp import OutFeatures
from pinnjax.train._evolution import Evolution as Evolution
from pinnjax.train._evolution import NotOfWaves as NotOfWaves
from pinnjax.train._evolution import Task, hopeless
from pinnjax.train._evolving import Evolving, Moment, start
from pinnjax.train._periodic import evolved
from pinnjax.train._waves import System
from pinnjax.train._wavy import wavy as wavy

GROWS = 2  # times as many waves there are next
MOST = 1100  # coefficients and derivatives of them below the highest,
MOST_PERIODIC = 40_000  # where several coordinates are periodic
LOST = 0.1  # what the equations leave with which it is no use to go on
BEGIN = 0.01  # of what the equations may leave: the share of the conditions at the beginning that waves may leave,
LESS = 0.7  # if twice as many leave no more than this share of it
BETTER = 0.3  # share of what the equations leave, with which more waves are worth it


def evolve(
    terms: Mapping[str, Callable],
    conditions: Mapping[str, Sequence[Any]],
    initial: Collection[str],
    *,
    lower: float | Sequence[float] | None,
    upper: float | Sequence[float] | None,
    begin: float,
    end: float,
    axis: int = 0,
    outputs: OutFeatures = "scalar",
    tolerance: float = 1e-9,
    enough: float = 1e-6,
    first: int = 16,
    most: int | None = None,
    stretch: float = 1.3,
    seconds: float | None = None,
) -> Evolution:
    """Solve equations in time, and one coordinate or several periodic ones, that give the highest derivative in time.

    The field is a sum of waves in x, whose coefficients change in time. At each time the residuals of all equations at
    many places, and the time derivatives of the conditions, give the derivative of the coefficients by least squares;
    an implicit method integrates them. Where the residuals are more than `enough`, there are twice as many waves from
    then on. Terms see the field only as any field: their derivatives in the jets of a polynomial at each place.
    Where there is no x, this is a method for stiff systems of ordinary differential equations, given as residuals.

    Of several coordinates the field is periodic. There equations give the highest derivative at each place of a grid,
    and an exponential method takes the steps: what is linear and the same everywhere is followed exactly. The field is
    known on a grid, and is given up before it takes more than two gigabytes.

    Args:
        terms: `{name: residual function}` of points `(2,)`, or `(1,)`; those that are neither conditions nor initial
            are the equations, which hold in all places.
        conditions: `{term: places}` of those that hold at single places, at all times. Conditions that every periodic
            field satisfies make it periodic. Of several coordinates there are no others, and `(k, d)` places.
        initial: terms that hold at the beginning, in all places.
        lower: least x, in its units; `(d,)` of several coordinates; None where there is no x.
        upper: largest x, or where the period of each coordinate ends; or None.
        begin: time at which it begins, in its units.
        end: and ends.
        axis: which of the coordinates is the time.
        outputs: number of components of the field, or "scalar".
        tolerance: relative error of a step in time; dimensionless.
        enough: what the equations may leave, as `left` of the result says; dimensionless.
        first: waves with which it begins.
        most: coefficients, at most; a step takes their number to the power of three, or as often as there are where
            coordinates are periodic. None for 1100 and 40 000.
        stretch: how many times as long as that of x the interval is of which there are waves, more than 1: what waves
            leave is another thing then.
        seconds: after which one gives up.

    Returns:
        `(u, waves, steps, reached, left)`.

    Raises:
        pinnjax.train.evolve.NotOfWaves: when the equations cannot be solved so, with the reason; it is a ValueError.
        ValueError: when a number is out of range or a name unknown.

    Example:
        >>> import jax.numpy as jnp
        >>> import pinnjax as pj
        >>> heat = lambda u, x: pj.diff(u, 0)(x) - 0.1 * pj.diff(u, 1, 1)(x)
        >>> terms = {"pde": heat, "start": lambda u, x: u(x) - jnp.sin(x[1]), "ends": lambda u, x: u(x)}
        >>> with jax.enable_x64(True):
        ...     u, *_ = evolve(terms, {"ends": [0.0, jnp.pi]}, ["start"], lower=0.0, upper=jnp.pi, begin=0.0, end=1.0)
        ...     print(abs(u(jnp.array([1.0, 1.0])) / (jnp.exp(-0.1) * jnp.sin(1.0)) - 1) < 1e-6)
        True
    """
    checks.terms(terms)
    for what, some in (("initial", initial), ("conditions", conditions)):
        checks.known_names(f"evolve: {what}", terms, some)
    checks.number("evolve: tolerance", tolerance, 1e-14, 1.0)
    checks.number("evolve: enough", enough, 0.0)
    checks.number("evolve: stretch", stretch, 1.0)
    checks.count("evolve: first", first)
    if not isinstance(lower, float | int | None) and not isinstance(upper, float | int | None):
        options: dict[str, Any] = {"outputs": outputs, "axis": axis, "first": first, "seconds": seconds}
        options |= {"tolerance": tolerance, "enough": enough, "most": MOST_PERIODIC if most is None else most}
        return evolved(terms, conditions, initial, (lower, upper), (begin, end), **options)
    if not isinstance(lower, float | int | None) or not isinstance(upper, float | int | None):
        raise ValueError(f"evolve: lower and upper are {lower} and {upper}; expected as many numbers in both")
    most = MOST if most is None else most
    alone = lower is None and upper is None
    low, high = (-1.0 if lower is None else lower), (1.0 if upper is None else upper)
    if not begin < end or not low < high or (not alone and None in (lower, upper)):
        raise ValueError(f"evolve: time is [{begin}, {end}], x in [{lower}, {upper}]; expected intervals")
    if alone and (conditions or axis):
        raise ValueError(f"evolve: conditions are {conditions} and axis is {axis}, without an x; expected none and 0")
    import threadpoolctl  # only who evolves needs it

    began = time.perf_counter()
    allowed = np.inf if seconds is None else seconds
    box, span = (float(low), float(high)), float(end) - float(begin)
    # Threads of NumPy's linear algebra cost such small matrices more than they give, and wait for one another.
    with jax.enable_x64(True), threadpoolctl.threadpool_limits(1, "blas"):
        asked = wavy(terms, conditions, outputs, axis).values()
        periodic = alone or (len(asked) > 0 and all(one.vanishes(box[:1], box[1:]) for one in asked))
        kept = {t: f for t, f in terms.items() if not (periodic and t in conditions)}
        at, length = ({}, 1.0) if periodic else (dict(conditions), float(stretch))
        task = Task(kept, at, list(initial), box, outputs, axis, float(begin), span, length, alone).parted()
        if not task.order:
            raise NotOfWaves("no equation has a derivative along the time")
        fits = lambda number: not alone and task.order * task.m * (2 * number + 1) <= most
        system = System(task, 0 if alone else first)
        system.check_local()
        y, begun = start(system)
        while begun > BEGIN * enough and fits(GROWS * system.number) and time.perf_counter() - began < allowed:
            finer = System(task, GROWS * system.number)
            try:
                y_finer, begun_finer = start(finer)
            except NotOfWaves:  # so many waves say no more than fewer
                break
            if not begun_finer < LESS * begun:
                break
            system, y, begun = finer, y_finer, begun_finer
        run = None
        try:
            run = _Run(Evolving(system, y), y, tolerance, enough, began + allowed)
            run.refine(fits)
            while run.goes_on and not hopeless(time.perf_counter() - began, (run.t - begin) / span, allowed):
                run.step(fits)
        except TimeoutError:
            pass
    if run is None or len(run.moments) < 2:
        return Evolution(None, system.number, 0, float(begin), 0.0)
    moments, system = run.moments, run.evolving.system
    u = _field(moments, (lower, upper), outputs, axis, system.task.stretch)
    return Evolution(u, system.number, len(moments) - 1, run.t, run.most)


class _Run:
    """Steps in time, with more waves from where they are wanted."""

    def __init__(self, evolving: Evolving, y: Any, tolerance: float, enough: float, limit: float):
        self.evolving, self.y, self.tolerance, self.enough, self.limit = evolving, y, tolerance, enough, limit
        self.t = evolving.system.task.begin
        one, self.left = evolving.moment(self.t, y)
        self.moments = [one]
        self.most = 0.0  # that the equations have left
        self.sharp = 0.0  # what more waves do not take from them
        self.steps = evolving.steps(self.t, y, tolerance, limit)

    @property
    def goes_on(self) -> bool:
        """Whether there is another step to do."""
        return self.left < LOST and self.steps.status == "running"

    def step(self, fits: Callable[[int], bool]) -> None:
        """One step; it is done again with more waves where the equations leave too much after it."""
        try:
            with warnings.catch_warnings(action="ignore"):  # of what becomes infinite, which is seen here
                self.steps.step()
        except ValueError:  # a Jacobian that is not finite
            self.steps.status = "failed"
        if self.steps.status == "failed" or not np.isfinite(self.steps.y).all():
            self.steps.status = "failed"
            return
        one, left = self.evolving.moment(float(self.steps.t), self.steps.y)
        if left > max(self.enough, self.sharp) and self.refine(fits, left):
            return
        self.t, self.y, self.left = float(self.steps.t), self.steps.y.copy(), left
        self.most = max(self.most, left)
        self.moments.append(one)

    def refine(self, fits: Callable[[int], bool], left: float | None = None) -> bool:
        """Twice as many waves from here, as often as it helps, where so much is left, here or after a step."""
        task, changed = self.evolving.system.task, False
        left = self.left if left is None else left
        while left > max(self.enough, self.sharp) and fits(GROWS * self.evolving.system.number):
            finer = System(task, GROWS * self.evolving.system.number)
            parts = [self.evolving.system.raw(part) for part in self.y.reshape(task.order, -1)]
            try:
                y = (
                    np.concatenate([finer.taken_over(part) for part in parts])
                    if self.t > task.begin
                    else start(finer)[0]
                )
                other = Evolving(finer, y)
                one, here = other.moment(self.t, y)
            except NotOfWaves:  # so many waves leave something open
                here = np.inf
            if not here < BETTER * self.left:
                self.sharp = max(left, self.left) / BETTER
                break
            self.evolving, self.y, self.left, changed = other, y, here, True
            left = here
            self.moments[-1] = one
        if changed:
            self.steps = self.evolving.steps(self.t, self.y, self.tolerance, self.limit)
        return changed


def _field(
    moments: list[Moment], box: tuple[float | None, float | None], outputs: Any, axis: int, stretch: float
) -> nn.Evolved:
    """Fewer waves are the first ones of more."""
    p = max(len(one.value) for one in moments)
    widened = lambda part: np.pad(part, ((0, p - len(part)), (0, 0)))
    times = np.array([one.time for one in moments])
    parts = ([widened(getattr(one, name)) for one in moments] for name in ("value", "slope", "curvature"))
    return nn.Evolved(*box, outputs, axis, stretch, times, *map(np.stack, parts))
