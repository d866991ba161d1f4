"""Errors over the steps of a study whose labels begin with the name of a problem."""

from collections.abc import Sequence

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure

from pinnjax.cli.reproduce.study import Results
from pinnjax.plot import style


def by_problem(results: Results, problems: Sequence[str]) -> dict[str, Figure]:
    """A picture for each problem, medians and seeds; `{"errors": figure}`.

    Args:
        results: `{"problem, run": result}`.
        problems: the first parts of the labels.
    """
    figure, axes = plt.subplots(1, len(problems), figsize=(4.5 * len(problems), 3.2), layout="constrained")
    for ax, problem in zip(axes, problems, strict=True):
        mine = {label: result for label, result in results.items() if label.startswith(problem)}
        for colour, (label, result) in zip(style.COLOURS, mine.items(), strict=False):
            errors = result.history["relative_l2"]
            name = f"{label.removeprefix(f'{problem}, ')}, {result.seconds:.0f} s"
            ax.plot(result.steps, np.median(errors, axis=1), color=colour, label=name)
            ax.plot(result.steps, errors, color=colour, alpha=0.2, linewidth=0.5)
        ax.set(yscale="log", title=problem)
        ax.legend(frameon=False, fontsize=8)
        style.finish(ax, "step", "relative $L_2$ error")
    return {"errors": figure}
