"""Published tables and figures, made anew: each study has runs, figures, and claims that can fail."""

from pinnjax.cli.reproduce import gradient_pathologies, gradnorm_evolution, harmonic_sweep, poisson_growth, tanh_race
from pinnjax.cli.reproduce.runner import Report, run
from pinnjax.cli.reproduce.study import Result, Run, Study

STUDIES = [
    harmonic_sweep.STUDY,
    poisson_growth.STUDY,
    tanh_race.STUDY,
    gradnorm_evolution.STUDY,
    *gradient_pathologies.STUDIES,
]

__all__ = ["STUDIES", "Report", "Result", "Run", "Study", "run"]
