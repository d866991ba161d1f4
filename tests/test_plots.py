"""Plots of measurements: each draws what it is given, on the axes it is given."""

import subprocess
import sys

import chex
import matplotlib.pyplot as plt
import numpy as np
import pytest

from pinnjax import plot
from pinnjax.diagnostics import Phases


@pytest.fixture
def ax():
    figure, axes = plt.subplots()
    yield axes
    plt.close(figure)


def test_the_conflict_matrix_shows_every_pair(ax):
    history = {
        "cosine/bc|pde": np.array([np.nan, -0.5, -0.7]),
        "cosine/bc|ic": np.array([0.2]),
        "cosine/ic|pde": np.ones(2),
    }
    assert plot.conflicts(history, ax=ax) is ax
    matrix = np.asarray(ax.images[0].get_array())
    np.testing.assert_allclose(matrix, [[1, 0.2, -0.6], [0.2, 1, 1], [-0.6, 1, 1]])
    assert [text.get_text() for text in ax.get_xticklabels()] == ["bc", "ic", "pde"]


def test_the_clock_shows_the_median_and_the_band_of_the_seeds(ax):
    seconds = np.array([1.0, 10.0, 100.0])
    errors = np.array([[np.nan, np.nan, np.nan], [0.5, 0.1, 0.3], [1e-3, 1e-2, 1e-1]])
    assert plot.clock(seconds, {"adam": errors, "soap": errors / 2}, ax=ax) is ax
    np.testing.assert_allclose(np.ma.filled(ax.lines[0].get_ydata(), 9.0), [9.0, 0.3, 1e-2])
    low, high = (f(path.vertices[:, 1]) for path in ax.collections[0].get_paths() for f in (np.min, np.max))
    assert (low, high) == (1e-3, 0.5) and ax.get_xscale() == ax.get_yscale() == "log"
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["adam", "soap"]


def test_the_phases_stand_behind_the_signal(ax):
    steps = np.arange(0.0, 100, 10)
    snr = np.where(steps == 50, np.nan, 2.0)
    assert plot.signal_to_noise(steps, snr, Phases(20.0, 60.0, 3.0), ax=ax) is ax
    chex.assert_tree_all_finite(ax.lines[0].get_ydata())
    chex.assert_shape(ax.lines[0].get_xdata(), (9,))
    labels = [text.get_text() for text in ax.get_legend().get_texts()]
    assert labels == ["fitting", "diffusion", "total diffusion"]


def test_spectra_tell_negative_eigenvalues(ax):
    assert plot.spectra({"Hessian": np.array([-1.0, 10.0, 0.0, 3.0])}, ax=ax) is ax
    shown = [line for line in ax.lines if line.get_marker() == "o"]
    assert list(shown[0].get_ydata()) == [10.0, 3.0]
    assert list(shown[1].get_ydata()) == [1.0] and shown[1].get_markerfacecolor() == "white"


@pytest.mark.parametrize("d", [1, 2, 3])
def test_values_at_points_are_drawn_over_one_coordinate_or_two(ax, d):
    points = np.random.default_rng(0).random((20, d))
    assert plot.point_values(points, np.linspace(0, 1, 20), ax=ax) is ax
    if d == 1:
        assert (np.diff(ax.lines[0].get_xdata()) >= 0).all()
    else:
        np.testing.assert_allclose(ax.collections[0].get_offsets(), points[:, :2])


def test_errors_are_drawn_under_the_name_that_fit_gives_them(ax):
    run = lambda name: {
        "evaluation/step": np.array([1, 2]),
        "evaluation/seconds": np.ones(2),
        name: np.array([0.5, 0.1]),
    }
    plot.errors({"a": run("evaluation/error")}, ax=ax)
    plot.errors({"b": run("evaluation/relative_l2")}, ax=ax)
    plot.errors({"c": run("evaluation/nu")}, name="nu", ax=ax)
    assert [line.get_label() for line in ax.lines] == ["a", "b", "c"]
    chex.assert_trees_all_close([line.get_ydata() for line in ax.lines], [np.array([0.5, 0.1])] * 3)


HISTORY = {"step": np.arange(1, 4), "loss": np.ones(3), "loss/pde": np.ones(3)}


@pytest.mark.parametrize(
    ("draw", "message"),
    [
        (lambda: plot.conflicts(HISTORY), r"monitors=\[pj.monitors.gradients\(\)\]"),
        (lambda: plot.conflicts(HISTORY | {"cosine/a|b": np.full(3, np.nan)}), "cosine/a|b has no finite value"),
        (lambda: plot.weights(HISTORY), "no step with a metric weight/"),
        (lambda: plot.losses(HISTORY, weighted=True), "no step with a metric weighted_loss/"),
        (lambda: plot.losses({name: values[:0] for name, values in HISTORY.items()}), "record_every no larger"),
        (lambda: plot.errors({"M1": HISTORY}), r"'M1' has no evaluation, only \[\]; .* evaluate="),
        (
            lambda: plot.errors({"M1": HISTORY | {"evaluation/error": np.ones(3)}}, name="l2"),
            r"'M1' has no evaluation 'l2', only \['error'\]",
        ),
        (lambda: plot.signal_to_noise(np.arange(3), np.full(3, np.nan)), r"pj.monitors.signal_to_noise\(\)"),
        (lambda: plot.spectra({}), "eigenvalues has no finite value"),
        (lambda: plot.spectra({"pde": np.full(2, np.nan)}), "pde has no finite value"),
        (lambda: plot.race({}), "nothing to draw"),
        (lambda: plot.clock(np.ones(3), {}), "nothing to draw"),
        (lambda: plot.race({"M1": HISTORY}), "'M1' has no metric relative_l2, weight/"),
        (lambda: plot.masks({}, {}), "nothing to draw"),
        (lambda: plot.gradient_histograms({}), "no layers; expected what pinnjax.diagnostics.by_layer returns"),
    ],
)
def test_a_plot_without_its_measurements_says_which_are_missing(draw, message):
    before = plt.get_fignums()
    with pytest.raises(ValueError, match=message):
        draw()
    assert plt.get_fignums() == before  # and leaves no empty figure


def test_plots_are_there_without_an_import_and_matplotlib_is_not():
    program = "import sys, pinnjax as pj; assert 'matplotlib' not in sys.modules; print(pj.plot.errors.__name__)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.stdout == "errors\n", done.stderr


def test_of_many_rules_a_race_names_the_best_and_the_worst_and_groups_the_rest():
    steps = np.array([1, 10])
    of = lambda error: {"step": steps, "relative_l2": np.full((2, 3), error), "loss/a": np.ones((2, 3))}
    errors = {"good": 1e-3, "bad": 1.0, "lost": np.nan} | {f"rule {i}": 0.1 + 0.01 * i for i in range(6)}
    histories = {label: of(error) | {"weight/a": np.ones((2, 3))} for label, error in errors.items()}
    figure = plot.race(histories)
    shown = [text.get_text() for text in figure.axes[2].get_legend().get_texts()]
    assert shown == ["best: good", "worst: bad", "the other 7"]
    at_end = {float(np.ma.filled(line.get_ydata()[-1], np.nan)): line.get_color() for line in figure.axes[2].lines}
    assert at_end[1e-3] == plot.style.COLOURS[0] and at_end[1.0] == plot.style.COLOURS[1]
    assert len({colour for error, colour in at_end.items() if 1e-3 < error < 1.0}) == 1
    assert [text.get_text() for text in figure.axes[3].get_yticklabels()][:1] == ["good"]
    few = plot.race({label: histories[label] for label in ("good", "bad")})
    assert few.axes[2].get_legend() is None
    plt.close(figure)
    plt.close(few)
