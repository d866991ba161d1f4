"""Published tables and figures, made anew: each study has runs, figures, and claims that can fail."""

from pinnjax.cli.reproduce import (
    cascade,
    fbpinn,
    gradient_pathologies,
    gradnorm_evolution,
    hard_conditions,
    harmonic_sweep,
    phases,
    poisson_growth,
    tanh_race,
    xpinn,
)
from pinnjax.cli.reproduce.runner import Report, run
from pinnjax.cli.reproduce.study import Result, Run, Study

STUDIES = [
    harmonic_sweep.STUDY,
    poisson_growth.STUDY,
    tanh_race.STUDY,
    gradnorm_evolution.STUDY,
    fbpinn.STUDY,
    *gradient_pathologies.STUDIES,
    xpinn.STUDY,
    hard_conditions.STUDY,
    cascade.STUDY,
    phases.STUDY,
]

__all__ = ["STUDIES", "Report", "Result", "Run", "Study", "run"]
