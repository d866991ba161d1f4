"""What a page is, and how it becomes one HTML file that needs no network, no kernel and no other file."""

import dataclasses
import html
import importlib.resources
import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from pinnjax.cli import environment

DIGITS = 4  # of the numbers in the file
REFERENCE = re.compile(r"(\w+)(?:\[([\w,]+)\])?")
# The browser itself refuses whatever is not in the file.
POLICY = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'"
BY_AXIS = ("x", "y")  # of a curve a reference, of a figure the label of an axis
REFERRING = ("low", "high", "at", "heights", "note", "rows", "range", "mark", "from", "to", "xrange", "yrange")


@dataclasses.dataclass(frozen=True)
class Section:
    """A heading, what it says, and its figures.

    Attributes:
        heading: in words.
        text: HTML.
        figures: what `figures.js` draws, of a `kind` each: lines, bars, heat or table. Where a number is wanted, a
            reference "array[control,control]" stands for an entry of an array, which the controls choose.
        columns: "three" for narrow figures.
    """

    heading: str
    text: str
    figures: Sequence[Mapping[str, Any]] = ()
    columns: str = ""


@dataclasses.dataclass(frozen=True)
class Page:
    """Text, controls, figures and the numbers of a run.

    Attributes:
        title: one line.
        lead: HTML, what a reader sees first.
        controls: sliders (`name`, `label`, `values`, `start`; `shown`, `play`, `only`) and choices (`options`).
        sections: in order.
        arrays: `{name: array, or nested lists}`, what the figures refer to.
        claims: `{what the source says: (whether it is so here, the numbers)}`.
        quick: whether the runs were short.
    """

    title: str
    lead: str
    controls: Sequence[Mapping[str, Any]]
    sections: Sequence[Section]
    arrays: Mapping[str, Any]
    claims: Mapping[str, tuple[bool, str]]
    quick: bool = False


def written(page: Page) -> str:
    """The whole file.

    Raises:
        ValueError: when a figure refers to an array or a control that the page does not have.
    """
    figures = [{**figure, "id": f"figure-{i}"} for i, figure in enumerate(f for s in page.sections for f in s.figures)]
    _check(page, figures)
    data = {"controls": page.controls, "figures": figures, "arrays": rounded(page.arrays)}
    about = environment.versions()
    made = ", ".join(f"{name} {version}" for name, version in about.items())
    short = "<p><strong>Quick form:</strong> fewer seeds or points, and shorter runs, than the page has in full.</p>"
    body = [f"<h1>{html.escape(page.title)}</h1>", page.lead, short if page.quick else "", '<div id="controls"></div>']
    left = iter(figures)
    for section in page.sections:
        holders = "".join(_holder(next(left)) for _ in section.figures)
        body.append(f"<h2>{html.escape(section.heading)}</h2>{section.text}")
        body.append(f'<div class="grid {section.columns}">{holders}</div>' if holders else "")
    body.append(_claims(page.claims))
    body.append(f"<p><small>Computed by {html.escape(made)}; {html.escape(environment.device())}.</small></p>")
    part = lambda name: importlib.resources.files(__package__).joinpath(name).read_text(encoding="utf-8")
    script = part("figures.js") + part("controls.js")
    # No string of the data can end the script that holds it.
    text = json.dumps(data, ensure_ascii=False, separators=(",", ":"), allow_nan=False).replace("</", "<\\/")
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{html.escape(page.title)}</title>\n<style>{part('page.css')}</style></head>\n<body>\n"
        + "\n".join(filter(None, body))
        + f'\n<script type="application/json" id="data">{text}</script>\n<script>{script}</script>\n'
        "</body></html>\n"
    )


def _holder(figure: Mapping[str, Any]) -> str:
    return f'<figure id="{figure["id"]}"{" class=broad" if "columns" in figure else ""}></figure>'


def rounded(value: Any) -> Any:
    """Numbers of four digits, as JSON has them: what is not finite becomes null.

    Example:
        >>> print(rounded({"u": np.array([[1.23456, np.nan], [12345.0, 0.0]]), "said": ["clean"]}))
        {'u': [[1.235, None], [12340, 0]], 'said': ['clean']}
    """
    if isinstance(value, Mapping):
        return {name: rounded(inner) for name, inner in value.items()}
    if isinstance(value, np.ndarray | np.generic):
        return rounded(value.tolist())
    if isinstance(value, list | tuple | range):
        return [rounded(inner) for inner in value]
    if isinstance(value, float):
        number = float(f"{value:.{DIGITS}g}")
        return None if not np.isfinite(number) else int(number) if number.is_integer() else number
    return value


def _claims(claims: Mapping[str, tuple[bool, str]]) -> str:
    rows = "".join(
        f"<tr><th scope='row'>{html.escape(said)}</th><td>{'holds' if holds else 'does not hold'}</td>"
        f"<td>{html.escape(numbers)}</td></tr>"
        for said, (holds, numbers) in claims.items()
    )
    head = "<tr><th scope='col'>what is said</th><th scope='col'>here</th><th scope='col'>numbers</th></tr>"
    return f"<h2>What is said, and what these runs say</h2><div class='wide'><table>{head}{rows}</table></div>"


def _check(page: Page, figures: Sequence[Mapping[str, Any]]) -> None:
    """Every reference has its array and its controls: a browser would show an empty figure, and no error."""
    controls = {control["name"] for control in page.controls}
    for figure in figures:
        parts = [*figure.get("lines", ()), *figure.get("shades", ()), *figure.get("trails", ())]
        found = [part[key] for part in parts for key in (*BY_AXIS, *REFERRING) if isinstance(part.get(key), str)]
        found += [figure[key] for key in REFERRING if isinstance(figure.get(key), str)]
        found += [cell for row in figure.get("table", ()) for cell in row[1:] if isinstance(cell, str)]
        for reference in found:
            whole = REFERENCE.fullmatch(reference)
            missing = {reference} if whole is None else {whole[1]} - set(page.arrays)
            missing |= set(whole[2].split(",")) - controls if whole and whole[2] else set()
            if missing:
                raise ValueError(
                    f"page {page.title!r}: the figure {figure.get('title')!r} refers to {', '.join(sorted(missing))}; "
                    f"expected arrays {', '.join(page.arrays)} and controls {', '.join(sorted(controls))}"
                )
