"""Imports point one way, flax stays behind its bridge, and nothing leaves the program."""

import ast
import inspect
import pathlib
import subprocess
import sys

import pytest

PACKAGE = pathlib.Path(__file__).parent.parent / "pinnjax"

# The map: a room may import from its own layer and from those above it in this list.
LAYERS = [
    ["checks", "metrics"],
    ["derivatives"],
    ["terms"],
    ["point_weights", "term_weights", "optimizers", "nn", "sampling"],
    ["subdomains", "train"],
    ["deploy", "diagnostics"],
    ["monitors"],
    ["doctor"],
    ["problems", "plot", "solver"],
    ["cli"],
]
RANK = {name: i for i, layer in enumerate(LAYERS) for name in layer}
MODULES = [path for path in sorted(PACKAGE.rglob("*.py")) if path != PACKAGE / "__init__.py"]


def part(path):
    return path.relative_to(PACKAGE).with_suffix("").parts[0]


def imported(path):
    """Every module that a file imports, `a.b` for `from a import b`."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: a relative import"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def drawing():
    """The rooms, layer by layer, and what each imports: the picture in CONTRIBUTING."""
    edges = {name: set() for layer in LAYERS for name in layer}
    for path in MODULES:
        pieces = [name.split(".") for name in imported(path)]
        edges[part(path)] |= {p[1] for p in pieces if p[0] == "pinnjax" and len(p) > 1 and p[1] in RANK} - {part(path)}
    width = max(map(len, RANK)) + 2
    line = lambda name: f"{name:{width}}{' '.join(sorted(edges[name], key=list(RANK).index)) or '-'}"
    return "\n\n".join("\n".join(map(line, layer)) for layer in LAYERS)


@pytest.mark.parametrize("path", MODULES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_imports_point_one_way(path):
    own = RANK[part(path)]
    for name in imported(path):
        pieces = name.split(".")
        if pieces[0] == "pinnjax" and len(pieces) > 1 and pieces[1] in RANK:
            assert RANK[pieces[1]] <= own, f"{path.name} imports {name}"
        elif pieces[0] == "pinnjax":
            assert part(path) == "cli", f"{path.name} imports {name}, a layer that this test does not know"


@pytest.mark.parametrize("path", MODULES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_no_room_reaches_into_the_machinery_of_another(path):
    for name in imported(path):
        pieces = name.split(".")
        if pieces[0] == "pinnjax" and any(piece.startswith("_") and not piece.startswith("__") for piece in pieces[1:]):
            assert pieces[1] == part(path), f"{path.name} imports {name}"


def test_only_networks_and_the_bridge_import_flax():
    users = {path for path in MODULES for name in imported(path) if name.split(".")[0] == "flax"}
    assert {part(path) for path in users - {PACKAGE / "terms" / "bridge.py"}} == {"nn"}


def test_no_folder_is_named_as_a_public_function():
    import pinnjax as pj

    folders = {path.parent.name for path in MODULES if path.name == "__init__.py"}
    assert not {name for name in folders if inspect.isfunction(getattr(pj, name, None))}


def test_few_names_are_flat():
    import pinnjax as pj

    assert len(pj.__all__) <= 37


def test_modules_stay_short():
    """A table may be long; what else has more than 250 lines is two ideas."""
    lengths = {str(p.relative_to(PACKAGE)): len(p.read_text().splitlines()) for p in MODULES}
    long = {name for name, length in lengths.items() if length > 250}
    assert long <= {"cli/catalogue.py"}, {name: lengths[name] for name in long}


def test_import_brings_nothing_that_can_wait_until_it_is_used():
    """What jax, flax and optax bring themselves is not counted: flax has rich."""
    program = (
        "import sys, jax, flax.nnx, optax; before = set(sys.modules); import pinnjax; print(*{*sys.modules} - before)"
    )
    added = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True).stdout.split()
    assert "pinnjax.train.fit" in added
    assert not {"matplotlib", "orbax", "rich", "scipy", "tqdm"} & {name.split(".")[0] for name in added}


def test_nothing_calls_back_into_python_from_the_program():
    for path in MODULES:
        text = path.read_text()
        for word in ("pure_callback", "io_callback", "jax.debug", "pmap"):
            assert word not in text, f"{path.name} uses {word}"


def test_every_module_and_public_name_is_documented():
    import pinnjax as pj

    for path in MODULES:
        assert ast.get_docstring(ast.parse(path.read_text())), path
    for name in pj.__all__:
        assert getattr(pj, name).__doc__, name
