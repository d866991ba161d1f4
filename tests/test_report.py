"""The page of `pinnjax solve --report`: one file, in which a browser finds its figures and the doctor's words."""

import html.parser
import pathlib

import pytest

from pinnjax.cli import main

from . import browser

pytestmark = pytest.mark.slow
FIGURES = ["comparison", "field_plain", "losses_plain", "gradients_plain", "state_plain"]


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    path = tmp_path_factory.mktemp("report") / "new" / "page.html"
    arguments = ["solve", "harmonic", "--method", "plain", "--steps", "60", "--report", str(path)]
    assert main(arguments) == 0
    return path


class Tags(html.parser.HTMLParser):
    """All tags with their attributes."""

    def __init__(self):
        super().__init__()
        self.found = []

    def handle_starttag(self, tag, attributes):
        self.found.append((tag, dict(attributes)))


def test_the_page_stands_alone_and_has_figures_tables_and_the_doctor(page):
    text = page.read_text()
    tags = Tags()
    tags.feed(text)
    images = {attributes["id"]: attributes["src"] for tag, attributes in tags.found if tag == "img"}
    assert set(images) == set(FIGURES)
    assert all(source.startswith("data:image/png;base64,") for source in images.values())
    assert not any(tag in ("script", "link", "iframe") for tag, _ in tags.found)
    for word in ("relative L2", "seed", "jax", "The doctor", "loss-balance crisis", "term_weights="):
        assert word in text, word
    assert len(text) < 3_000_000


def test_a_browser_shows_its_figures(page, tmp_path):
    counts = page.with_name("counts.html")
    script = (
        "<script>window.addEventListener('load', () => { document.title = [...document.images].map("
        "i => `${i.id}:${i.complete && i.naturalWidth > 300}`).join(' '); });</script>"
    )
    counts.write_text(page.read_text().replace("</body>", script + "</body>"))
    dom = browser.run(tmp_path, "--dump-dom", counts.as_uri()).stdout
    for name in FIGURES:
        assert f"{name}:true" in dom, name
    picture = pathlib.Path(tmp_path / "page.png")
    browser.run(tmp_path, f"--screenshot={picture}", "--window-size=1100,3000", page.as_uri())
    assert picture.stat().st_size > 50_000
