"""The page of `pinnjax solve --report FILE`: configuration, tables, figures and the doctor's words in one HTML file."""

import base64
import html
import io
import pathlib
from collections.abc import Mapping

import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np
import rich.console
import rich.table
from matplotlib.figure import Figure

from pinnjax import diagnostics, plot
from pinnjax.cli import diagnosing, environment, pictures
from pinnjax.cli.layer_gradients import layer_gradients
from pinnjax.doctor import Diagnosis
from pinnjax.problems import Problem, Recipe, Solution, numbers_of_points
from pinnjax.terms import evaluation, losses, names

PROBE = 1000  # steps of the diagnosis, at most those of the run
STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; max-width: 62rem; margin: 2rem auto; padding: 0 1rem; color: #222; }
h1, h2 { font-weight: 600; } h2 { border-top: 1px solid #ddd; padding-top: 1rem; margin-top: 2rem; }
img { max-width: 100%; height: auto; } figure { margin: 1rem 0; } figcaption { color: #555; font-size: 0.9rem; }
pre { overflow-x: auto; font: 12px/1.35 ui-monospace, monospace; } dt { font-weight: 600; } dd { margin: 0 0 0.3rem; }
dl { display: grid; grid-template-columns: max-content auto; gap: 0 1rem; }
"""
CAPTIONS = {
    "comparison": "The reference, the fields of all methods on one scale, and their errors over the steps.",
    "field": "The reference, the field and its error.",
    "losses": "Losses as they are and as the optimiser sees them, and the term weights.",
    "gradients": "Gradients of the terms times their weights at the end, layer by layer, points weighed equally: a "
    "spike at zero is a term that vanishes beside the others.",
    "state": "At the end: residuals at collocation points, tangent kernels of the terms, curvature of the weighted "
    "loss (hollow: negative), and the cosines of the gradients in the doctor's probe.",
}


def write(
    path: pathlib.Path,
    problem: Problem,
    recipes: Mapping[str, Recipe],
    solutions: Mapping[str, Solution],
    table: rich.table.Table,
    seed: int,
) -> None:
    """Write the page; it needs no network and no other file."""
    drawn = pictures.figures(problem, solutions)
    diagnoses = {}
    for name, solution in solutions.items():
        diagnoses[name] = diagnosing.examine(problem, recipes[name], steps=min(PROBE, solution.steps), seed=seed)
        weights = {t: float(solution.history[f"weight/{t}"][-1]) for t in solution.state.nonfinite}
        drawn[f"gradients_{name}"] = plot.gradient_histograms(layer_gradients(problem, solution.state, weights))
        drawn[f"state_{name}"] = _state(problem, solution, weights, diagnoses[name])
    images = {name: _image(figure) for name, figure in drawn.items()}
    parts = [
        f"<h1>{html.escape(problem.title)}</h1>",
        _configuration(problem, recipes, solutions, seed),
        "<h2>Results</h2>",
        _text(table),
        _figure("comparison", images["comparison"]),
    ]
    for name in solutions:
        parts.append(f"<h2>{html.escape(name)}: {html.escape(recipes[name].summary)}</h2>")
        parts += [_figure(f"{kind}_{name}", images[f"{kind}_{name}"]) for kind in list(CAPTIONS)[1:]]
        parts.append("<h3>The doctor</h3>")
        parts.append(_text(diagnoses[name].table()))
        parts += [f"<p>{html.escape(line.plain)}</p>" for line in diagnoses[name].lines()]
    body = "\n".join(parts)
    path.write_text(
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width">'
        f"<title>{html.escape(problem.title)}</title><style>{STYLE}</style></head>\n<body>\n{body}\n</body></html>\n",
        encoding="utf-8",
    )


def _configuration(
    problem: Problem, recipes: Mapping[str, Recipe], solutions: Mapping[str, Solution], seed: int
) -> str:
    versions = ", ".join(f"{name} {version}" for name, version in environment.versions().items())
    rows = {
        "problem": f"{problem.name} ({problem.source})",
        "terms": ", ".join(problem.terms),
        "seed": str(seed),
        "device": environment.device(),
        "versions": versions,
    }
    for name, solution in solutions.items():
        numbers = numbers_of_points(problem, recipes[name])
        points = ", ".join(f"{count} {term}" for term, count in numbers.items())
        rows[name] = f"{recipes[name].summary}; {solution.steps} steps; points: {points}"
    cells = "".join(f"<dt>{html.escape(key)}</dt><dd>{html.escape(value)}</dd>" for key, value in rows.items())
    return f"<dl>{cells}</dl>"


def _state(problem: Problem, solution: Solution, weights: Mapping[str, float], diagnosis: Diagnosis) -> Figure:
    state, definition, constants = solution.state, solution.state.definition, solution.state.constants
    batch = problem.draw(jax.random.key(0), problem.points, jnp.result_type(float))
    few = evaluation.some_of_each(problem.terms, batch, 64)
    residuals = jax.jit(evaluation.residuals(problem.terms, definition, constants))(state.params, batch)
    kernel = diagnostics.tangent_kernel(problem.terms, definition, constants)
    blocks = jax.jit(lambda p: diagnostics.spectra(kernel(p, few)))(state.params)

    @jax.jit
    def ritz(params: object) -> dict[str, jax.Array]:
        hessian, gauss_newton, size = diagnostics.products(
            problem.terms, definition, params, few, constants, weights=weights
        )
        find = lambda product: diagnostics.lanczos(product, size, key=jax.random.key(0), steps=min(30, size))
        return {"Hessian": find(hessian), "Gauss-Newton": find(gauss_newton)}

    figure, axes = plt.subplots(1, 4, figsize=(15, 3.2), layout="constrained")
    name = problem.balance_against
    first = next(t for t in residuals if diagnosis.evidence.owner(t) == name)
    at, size = names.places(batch[name]), np.asarray(losses.magnitude(residuals[first]))
    if at is None or len(at) != len(size):
        axes[0].set_axis_off()  # residuals that belong to no point
    else:
        plot.point_values(np.asarray(at), size, label=f"|residual of {first}|", ax=axes[0])
    plot.spectra({t: np.asarray(s.eigenvalues) for t, s in blocks.items()}, ax=axes[1])
    axes[1].set_title("tangent kernels", fontsize="medium")
    plot.spectra({label: np.asarray(values) for label, values in ritz(state.params).items()}, ax=axes[2])
    axes[2].set_title("curvature", fontsize="medium")
    if any(key.startswith("cosine/") for key in diagnosis.evidence.history):
        plot.conflicts(diagnosis.evidence.history, ax=axes[3])
    else:
        axes[3].set_axis_off()
    return figure


def _image(figure: Figure) -> str:
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=110)
    plt.close(figure)
    return base64.b64encode(buffer.getvalue()).decode()


def _figure(name: str, image: str) -> str:
    caption = CAPTIONS[name.split("_")[0]]
    source = f"data:image/png;base64,{image}"
    image_tag = f'<img id="{html.escape(name)}" alt="{caption}" src="{source}">'
    return f"<figure>{image_tag}<figcaption>{caption}</figcaption></figure>"


def _text(table: rich.table.Table) -> str:
    console = rich.console.Console(record=True, file=io.StringIO(), width=130)
    console.print(table)
    return console.export_html(inline_styles=True, code_format="<pre>{code}</pre>")
