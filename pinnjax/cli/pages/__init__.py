"""Pages to look at: each trains, and becomes one HTML file with sliders, which needs no kernel and no network."""

from collections.abc import Callable

from pinnjax.cli.pages import gradnorm, loss_weights, phases, race
from pinnjax.cli.pages.page import Page, Section, written

PAGES: dict[str, Callable[[bool], Page]] = {
    "loss_weights": loss_weights.page,
    "race": race.page,
    "gradnorm": gradnorm.page,
    "phases": phases.page,
}

__all__ = ["PAGES", "Page", "Section", "written"]
