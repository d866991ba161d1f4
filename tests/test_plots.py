"""Plots of measurements: each draws what it is given, on the axes it is given."""

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


def test_the_phases_stand_behind_the_signal(ax):
    steps = np.arange(0.0, 100, 10)
    snr = np.where(steps == 50, np.nan, 2.0)
    assert plot.signal_to_noise(steps, snr, Phases(20.0, 60.0, 3.0), ax=ax) is ax
    assert np.isfinite(ax.lines[0].get_ydata()).all() and len(ax.lines[0].get_xdata()) == 9
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
