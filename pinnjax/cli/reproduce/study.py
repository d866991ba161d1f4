"""What a study is: the runs that a published table or figure rests on, its figures, and what must hold."""

import dataclasses
from collections.abc import Callable, Mapping

import numpy as np
from jaxtyping import Array, Float, Int
from matplotlib.figure import Figure

from pinnjax.cli.race import Outcome
from pinnjax.problems import Problem, Recipe
from pinnjax.train.monitor import StepInfo


@dataclasses.dataclass(frozen=True)
class Run:
    """One row of a table.

    Attributes:
        problem: what is solved.
        recipe: how.
        published: the figure in the source; a few words where the source has no number; None where it has nothing.
    """

    problem: Problem
    recipe: Recipe
    published: float | str | None = None


@dataclasses.dataclass(frozen=True)
class Result:
    """What a run left, as it is stored.

    Attributes:
        history: `{name: (E, K)}` at E moments over K seeds; what a `Watch` measures may have more axes.
        steps: `(E,)`, the moments.
        seconds: wall time of all seeds together, compilation included.
        extras: what the study measured at the end.
    """

    history: dict[str, Float[np.ndarray, "E K *m"]]
    steps: Int[np.ndarray, " E"]
    seconds: float
    extras: dict[str, np.ndarray]

    def final(self, name: str = "relative_l2") -> Float[np.ndarray, " K"]:
        """A figure at the end, one a seed, infinite where it is not finite."""
        last = self.history[name][-1]
        return np.where(np.isfinite(last), last, np.inf)

    def median(self, name: str = "relative_l2") -> float:
        """Median over the seeds of a figure at the end."""
        return float(np.median(self.final(name)))


Results = Mapping[str, Result]
Claims = dict[str, bool]
Check = Callable[[Results], Claims]


@dataclasses.dataclass(frozen=True)
class Watch:
    """What is measured along every run of a study.

    Attributes:
        measure: of a step, as in `pinnjax.Monitor`, beside its metrics and the problem's own figures.
        moments: how often.
    """

    measure: Callable[[StepInfo], dict[str, Array]]
    moments: int = 40


@dataclasses.dataclass(frozen=True)
class Study:
    """A published table or figure.

    Attributes:
        name: as on the command line.
        title: one line for people.
        source: paper, table or figure.
        runs: `{label: run}`.
        claims: from the results of whole runs to `{what must hold: whether it does}`.
        quick_claims: the same for quick runs, whose figures are not the published ones.
        figures: from the results to `{file name: figure}`.
        extras: measured on every outcome when it is done, `{name: array}`.
        seeds: number of seeds, from 0.
        quick: share of the steps in a quick run, which has one seed.
        compared: the figure in the table, a name in the history.
        watch: what is measured along the runs, where metrics and errors are not enough; such a study has no `extras`,
            and recipes of one phase.
    """

    name: str
    title: str
    source: str
    runs: Mapping[str, Run]
    claims: Check
    quick_claims: Check
    figures: Callable[[Results], dict[str, Figure]]
    extras: Callable[[Problem, Outcome], dict[str, np.ndarray]] = lambda problem, outcome: {}
    seeds: int = 3
    quick: float = 0.25
    compared: str = "relative_l2"
    watch: Watch | None = None
