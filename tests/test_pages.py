"""Pages: one file each, whose numbers are those of the runs; a browser moves every slider."""

import dataclasses
import html.parser
import json
import pathlib
import re
from types import SimpleNamespace

import jax.numpy as jnp
import numpy as np
import optax
import pytest

from pinnjax.cli import pages
from pinnjax.cli.pages import gradnorm, gradnorm_loop, landscape, loss_weights, race, race_runs
from pinnjax.cli.pages.page import Page, Section, rounded, written
from pinnjax.problems.wave import exact as solution

from . import browser

RENDERED = sorted((pathlib.Path(__file__).parent.parent / "notebooks" / "pages").glob("*.html"))
LINES = {"kind": "lines", "title": "two lines", "lines": [{"label": "u", "x": "t", "y": "u[step]"}]}
SMALL = Page(
    title="A small page",
    lead="<p>It says little.</p>",
    controls=[{"name": "step", "label": "step", "values": [0, 10], "start": 0}],
    sections=[Section("Curves", "", [LINES])],
    arrays={"t": np.arange(3.0), "u": np.array([[0.0, 1.0, np.nan], [1.0, 2.0, 3.0]])},
    claims={"u grows": (True, "1 to 3")},
)


def data(text):
    (found,) = re.findall(r'<script type="application/json" id="data">(.*?)</script>', text, re.DOTALL)
    return json.loads(found)


class Tags(html.parser.HTMLParser):
    """All tags with their attributes."""

    def __init__(self):
        super().__init__()
        self.found = []

    def handle_starttag(self, tag, attributes):
        self.found.append((tag, dict(attributes)))


def test_a_page_has_its_numbers_to_four_digits_and_null_where_there_is_none():
    arrays = data(written(SMALL))["arrays"]
    assert arrays == {"t": [0, 1, 2], "u": [[0, 1, None], [1, 2, 3]]}
    assert rounded({"a": np.float32(0.123456), "b": [np.inf, "said"]}) == {"a": 0.1235, "b": [None, "said"]}


def test_text_of_the_data_cannot_end_its_script():
    page = dataclasses.replace(SMALL, arrays=SMALL.arrays | {"said": ["</script><b>"]})
    assert data(written(page))["arrays"]["said"] == ["</script><b>"]


@pytest.mark.parametrize("reference", ["v[step]", "u[stop]", "u(step)"])
def test_a_reference_without_its_array_or_control_is_refused(reference):
    line = {"label": "u", "x": "t", "y": reference}
    page = dataclasses.replace(SMALL, sections=[Section("Curves", "", [LINES | {"lines": [line]}])])
    with pytest.raises(ValueError, match=r"'two lines' refers to .*; expected arrays t, u and controls step"):
        written(page)


def test_every_page_is_rendered():
    assert [path.stem for path in RENDERED] == sorted(pages.PAGES)


@pytest.mark.parametrize("path", RENDERED, ids=lambda p: p.stem)
def test_a_rendered_page_stands_alone_and_is_small(path):
    text = path.read_text()
    assert len(text.encode()) < 3_000_000
    tags = Tags()
    tags.feed(text)
    loads = [(tag, a) for tag, a in tags.found if tag in ("link", "iframe", "img") or "src" in a or "srcset" in a]
    assert not loads
    (policy,) = (a["content"] for _, a in tags.found if a.get("http-equiv") == "Content-Security-Policy")
    assert "default-src 'none'" in policy and "http" not in policy
    folder = pathlib.Path(pages.__file__).parent
    for name in ("page.css", "figures.js", "controls.js"):
        assert (folder / name).read_text() in text, f"rendered with another {name}: pinnjax page {path.stem}"


MOVE = pathlib.Path(__file__).with_name("move_every_control.js").read_text()


def depends(figure, control):
    """Whether a figure refers to a control."""
    text = json.dumps(figure)
    return bool(re.search(rf"[\[,]{control}[\],]", text)) or f'"cursor": "{control}"' in text


@pytest.mark.slow
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("path", RENDERED, ids=lambda p: p.stem)
def test_in_a_browser_every_slider_moves_its_figures_and_no_others(path, scheme, tmp_path):
    light = f"--blink-settings=preferredColorScheme={int(scheme == 'light')}"
    size = "--window-size=1100,1000" if scheme == "light" else "--window-size=500,900"
    said, console = browser.visit(path, tmp_path, MOVE, light, size)
    assert not console
    page = data(path.read_text())
    assert said["empty"] == [] and said["wide"] <= 0 and said["cut"] == []
    assert set(said["moved"]) == {control["name"] for control in page["controls"]}
    for control in page["controls"]:
        name = control["name"]
        assert sorted(said["moved"][name]) == [i for i, f in enumerate(page["figures"]) if depends(f, name)], name
        if control.get("play"):
            value, button = said["played"][name]
            assert value > 1 and button == "Pause"


@pytest.mark.slow
@pytest.mark.usefixtures("quick_compilation")
def test_the_tuner_has_the_numbers_of_its_runs():
    found = loss_weights.runs(loss_weights.Size(weights=3, seeds=2, moments=2, every=3))
    arrays = data(written(loss_weights.laid_out(found)))["arrays"]
    assert arrays["log"] == [-3, 1, 5] and arrays["steps"] == [0, 3, 6]
    errors = found.by_hand["relative_l2"]
    np.testing.assert_allclose(arrays["relative_l2"][0], np.median(errors, axis=1), rtol=1e-3)
    np.testing.assert_allclose(arrays["u_high"][0], found.by_hand["u"].max(axis=1), rtol=1e-3)
    np.testing.assert_allclose(arrays["loss_ic"][1], np.median(found.automatic["NTK"]["loss/ic"], axis=1), rtol=1e-3)
    assert arrays["loss_ic"][4] == [[None] * 3]  # built in
    assert arrays["verdict"][0] == [loss_weights.verdict(e) for e in np.median(errors[..., -1], axis=1)]


def test_each_claim_of_the_tuner_can_fail():
    error = lambda values: {"relative_l2": np.array(values)[:, None, None]}
    right = error([1.0, 1.0, 1.0, 1.0, 0.6, 1e-3, 0.1, 0.6, 1.0])
    runs = loss_weights.Runs(np.linspace(-3, 5, 9), np.array([0]), right, {"NTK": error([1e-3])})
    assert all(holds for holds, _ in loss_weights.claims(runs).values())
    for place, value, failing in [(0, 1e-3, 0), (3, 0.1, 1), (5, 0.1, 2), (8, 0.2, 3)]:
        changed = right["relative_l2"].copy()
        changed[place] = value
        found = loss_weights.claims(dataclasses.replace(runs, by_hand={"relative_l2": changed}))
        assert [i for i, (holds, _) in enumerate(found.values()) if not holds] == [failing]
    found = loss_weights.claims(dataclasses.replace(runs, automatic={"NTK": error([0.06])}))
    assert not found["NTK is clean without a slider"][0]


def flat(value):
    """A history of two seeds and two looks, one a little larger than the other."""
    return np.array([[value, value], [value, 1.2 * value]])


def raced(uniform, sigmoid, square, norm, hard=1.0):
    front = {
        mode: {
            "front_over_rest": flat(ratio),
            "relative_l2": flat(0.1),
            "u": np.zeros((2, 2, 101)),
            "residual": np.ones((2, 2, 101)),
            "m": np.ones((2, 2, 30)),
        }
        for mode, ratio in zip(race_runs.MODES, (uniform, norm, sigmoid, square), strict=True)
    }
    side = race_runs.SIDE
    still = {"ratio": flat(2.0), "relative_l2": flat(0.5), "maps": np.ones((2, 2, 3, side, side))}
    plane = {mode: still | {"hard": flat(1.0 if mode == "uniform" else hard)} for mode in race_runs.MODES}
    size = race_runs.Size(2, 1, 5)
    rates = np.full((len(race_runs.RATES), 2), sigmoid)
    return race.Runs(size, front, rates, size, dict.fromkeys(race_runs.PLANES, plane))


def test_the_race_has_medians_and_maps_of_its_runs():
    found = raced(4.0, 1.0, 1.0, 5.0)
    arrays = data(written(race.laid_out(found)))["arrays"]
    assert arrays["steps"] == [0, 5]
    assert arrays["ratio_uniform"] == [4.0, 4.4] and arrays["ratio_uniform_high"] == [4.0, 4.8]
    assert np.shape(arrays["allen_cahn_square"]) == (3, 2, race_runs.SIDE, race_runs.SIDE)
    assert arrays["wave_hard_norm"] == [1.0, 1.1]


def test_each_claim_of_the_race_can_fail():
    holds = lambda *numbers, **more: [h for h, _ in race.claims(raced(*numbers, **more)).values()]
    assert holds(4.0, 1.0, 1.0, 5.0) == [True, True, True, False, False, False, False]
    assert holds(4.0, 3.0, 1.0, 5.0)[:3] == [False, True, True]
    assert holds(4.0, 1.0, 3.0, 3.0)[:3] == [True, False, False]
    assert holds(4.0, 1.0, 1.0, 5.0, hard=0.1)[3:] == [True] * 4


@pytest.mark.slow
@pytest.mark.usefixtures("quick_compilation")
def test_the_race_begins_with_the_weights_of_the_documents():
    found = race_runs.front(race_runs.Size(seeds=1, moments=1, every=2))
    first = {mode: run["m"][0, 0] for mode, run in found.items()}
    np.testing.assert_array_equal(first["uniform"], 1.0)
    np.testing.assert_array_equal(first[race_runs.SIGMOID], 0.5)
    np.testing.assert_array_equal(first[race_runs.SQUARE], 1.0)
    assert first["gradient norm"].min() == pytest.approx(1.0) and np.ptp(first["gradient norm"]) > 0
    assert all(np.all(found[mode]["m"][0, 1] > first[mode]) for mode in (race_runs.SIGMOID, race_runs.SQUARE))


def test_a_map_of_an_equation_is_of_the_field_at_its_places():
    setup = race_runs.PLANES["wave"]
    places, exact = race_runs._map(setup.problem)
    np.testing.assert_allclose(exact, solution(places[:, 0], places[:, 1], np), atol=1e-12)
    assert np.all(places[: race_runs.SIDE, 1] == 0) and np.all(np.diff(places[: race_runs.SIDE, 0]) > 0)


@pytest.mark.slow
@pytest.mark.usefixtures("quick_compilation")
def test_gradnorm_by_hand_with_pieces_and_as_a_rule_are_one():
    loops = gradnorm_loop.compared(gradnorm.PROBLEM, gradnorm.RECIPE, 25)
    assert np.ptp(loops["documented"], axis=0).max() > 0.1  # the weights have moved
    for name in ("pieces", "rule"):
        np.testing.assert_allclose(loops[name], loops["documented"], rtol=1e-3)


def test_both_loops_are_shown_in_the_same_parts():
    parts = gradnorm_loop.side_by_side()
    assert len(parts) >= 7 and all(left and right for _, left, right in parts)
    shown = "\n".join(right for *_, right in parts)
    for piece in ("inverse_training_rates(", "gradient_norms(", "gradnorm_loss)("):
        assert piece in shown


def test_each_claim_of_gradnorm_can_fail():
    def history(weights, norms, error):
        found = {f"weight/{t}": flat(w) for t, w in zip(gradnorm.TERMS, weights, strict=True)}
        found |= {f"grad_norm/{t}": flat(n) for t, n in zip(gradnorm.TERMS, norms, strict=True)}
        return found | {"relative_l2": flat(error)}

    def found(balanced, rule=1.0):
        equal = history([1.0, 1.0, 1.0], [9.0, 1.0, 1.0], 0.5)
        for values in equal, balanced:  # the weights are what they are at all times
            values |= {name: np.full((2, 2), v[0, 0]) for name, v in values.items() if name.startswith("weight")}
        loops = {"documented": np.ones((3, 3)), "pieces": np.ones((3, 3)), "rule": np.full((3, 3), rule)}
        return gradnorm.Runs(np.arange(2), {"equal weights": equal, "α = 0": balanced}, loops)

    holds = lambda *runs: [h for h, _ in gradnorm.claims(found(*runs)).values()]
    good = history([0.5, 1.25, 1.25], [9.0, 1.0, 1.0], 0.1)
    assert holds(good) == [True] * 5
    assert holds(history([0.5, 1.0, 1.25], [9.0, 1.0, 1.0], 0.1)) == [False, True, True, True, True]
    assert holds(history([1.5, 0.75, 0.75], [9.0, 1.0, 1.0], 0.6)) == [True, False, False, True, True]
    assert holds(good, 1.1) == [True, True, True, True, False]


def test_adams_coordinates_make_a_quadratic_round():
    curvature = jnp.array([1.0, 4.0, 100.0, 2.0])
    loss = lambda p: 0.5 * jnp.sum(curvature * p**2) + 1.0
    plain = landscape.around(loss, jnp.zeros(4), jnp.ones(4))
    assert plain.steepest == pytest.approx(100.0, rel=1e-4)
    side = landscape.SIDE
    along = plain.loss[side // 2, [0, side // 2, -1]]
    np.testing.assert_allclose(along, [landscape.RISE, 1.0, landscape.RISE], rtol=1e-4)
    state = SimpleNamespace(optimizer=optax.ScaleByAdamState(0, None, curvature**2))
    scaled = landscape.around(loss, jnp.zeros(4), landscape.adam_scale(state))
    assert scaled.steepest == pytest.approx(1.0, rel=1e-4) and scaled.mean == pytest.approx(1.0, rel=1e-4)


def test_a_path_in_a_plane_is_all_of_it_on_the_plane():
    path = np.array([[3.0, 0.0, 0.0], [1.0, 2.0, 0.0], [0.0, 0.0, 0.0]], np.float32)
    found = landscape.trajectory(lambda p: jnp.sum(p**2), path)
    assert found.share == pytest.approx(1.0)
    np.testing.assert_allclose(np.linalg.norm(found.place, axis=1), np.linalg.norm(path, axis=1), rtol=1e-5)
    x, y = np.linspace(*found.x, landscape.SIDE), np.linspace(*found.y, landscape.SIDE)
    np.testing.assert_allclose(found.loss, x[None] ** 2 + y[:, None] ** 2, rtol=1e-4, atol=1e-5)
