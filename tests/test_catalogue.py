"""A method has one name, and every place that lists methods lists it: a step left out of CONTRIBUTING fails here."""

import inspect
import pathlib
import re

import chex
import jax
import optax
import pytest

import pinnjax as pj
from pinnjax import problems
from pinnjax.cli import catalogue
from pinnjax.cli.bench import balancers, points
from pinnjax.cli.bench import monitors as timed
from pinnjax.cli.bench import optimizers as split
from pinnjax.problems import Problem
from pinnjax.sampling import Domain, Sampler, Shape

from . import methods_table, test_examples, test_monitors, test_names, test_networks
from .test_domains import DOMAINS
from .test_optimizers_contract import RULES as OPTIMIZER_CONTRACT
from .test_point_weights_contract import RULES as POINT_CONTRACT
from .test_term_weights_contract import RULES as TERM_CONTRACT

ROOT = pathlib.Path(__file__).parent.parent
TRANSFORMS = (optax.GradientTransformation, optax.GradientTransformationExtraArgs)
# These edit, lift or move another rule, or take one of another library, and do nothing by themselves. They take no row
# in a table of methods.
TOOLS = {
    *("bounded", "guarded", "normalized", "smoothed", "scheduled", "held", "per_term", "skip_exploding"),
    *("per_point_memory", "combine", "from_optimistix", "grown"),
}


def making(place, *kinds):
    """Names of a module's public functions that say that they return one of these."""
    names = getattr(place, "__all__", [name for name in vars(place) if not name.startswith("_")])
    functions = {name: f for name in names if inspect.isfunction(f := getattr(place, name))}
    return {name for name, f in functions.items() if inspect.signature(f).return_annotation in kinds} - TOOLS


def of(place, kind):
    """Names of a module's public values or classes of a kind."""
    values = {name: getattr(place, name) for name in place.__all__}
    return {
        name for name, v in values.items() if isinstance(v, kind) or (isinstance(v, type) and issubclass(v, kind))
    } - {kind.__name__}


def files(place):
    """A method a file: the modules of a folder that are not machinery."""
    folder = pathlib.Path(place.__file__).parent
    return {path.stem for path in folder.glob("*.py") if not path.name.startswith("_")} - TOOLS


def first(names):
    """What stands before the variant: `ntk` of "ntk trace", `causal` of "causal, sorted"."""
    return {re.split("[ ,]", name)[0] for name in names}


TERM_RULES = making(pj.term_weights, *TRANSFORMS)
POINT_RULES = making(pj.point_weights, *TRANSFORMS)
OPTIMIZERS = making(pj.optimizers, *TRANSFORMS)
UNSPLIT = {
    "bfgs",
    "ssbfgs",
    "soap",
    "spring",
    "nystrom_natural_gradient",
}  # as one of those that are, or without search
MONITORS = making(pj.monitors, pj.Monitor)
SAMPLERS = making(pj.sampling, Sampler)
PROBLEMS = of(problems, Problem)
NETWORKS = of(pj.nn, pj.nn.Module)
DOMAIN_KINDS = of(pj.sampling, Domain) - {Shape.__name__}

PLACES = {
    "term rules, a file each": (TERM_RULES, files(pj.term_weights)),
    "term rules, contract": (TERM_RULES, first(TERM_CONTRACT)),
    "term rules, command line": (TERM_RULES, set(catalogue.TERM_WEIGHTS) - {"none"}),
    "term rules, bench": (TERM_RULES, {*balancers.RULES, *balancers.SELDOM}),
    "term rules, README": (TERM_RULES, methods_table.named("term weights") - TOOLS),
    "point rules, a file each": (POINT_RULES, files(pj.point_weights)),
    "point rules, contract": (POINT_RULES, first(POINT_CONTRACT)),
    # A function of the point cannot be written on the command line.
    "point rules, command line": (POINT_RULES - {"by_position"}, set(catalogue.POINT_WEIGHTS) - {"none"}),
    "point rules, bench": (POINT_RULES, first(points.RULES)),
    "point rules, names of equations": (POINT_RULES, set(test_names.CHOSEN)),
    "point rules, README": (POINT_RULES, methods_table.named("point weights") - TOOLS),
    "optimisers, a file each": (OPTIMIZERS, files(pj.optimizers)),
    "optimisers, contract": (OPTIMIZERS, first(OPTIMIZER_CONTRACT) - {"from_optimistix"}),
    # Beside ours some of optax.
    "optimisers, command line": (OPTIMIZERS, set(catalogue.OPTIMIZERS) - {"adam", "muon", "lbfgs"}),
    "optimisers, bench or not": (OPTIMIZERS, {*split.OPTIMIZERS, *UNSPLIT} - {"lbfgs"}),
    "optimisers, README": (OPTIMIZERS, methods_table.named("optimizers") - TOOLS),
    # The cavity in (u, v, p) is the cavity in another form: one file and one example have both.
    "problems, a file each": (PROBLEMS - {"cavity_uvp"}, files(problems)),
    "problems, command line": (PROBLEMS, set(catalogue.PROBLEMS)),
    "monitors, each beside its diagnostic": (MONITORS, set(test_monitors.MONITORS)),
    "monitors, bench": (MONITORS, set(timed.MONITORS)),
    "monitors, README": (MONITORS, methods_table.named("monitors")),
    "samplers, names of equations": (SAMPLERS, set(test_names.SAMPLERS)),
    "samplers, README": (SAMPLERS, methods_table.named("samplers") - TOOLS),
    "domains, oracles": (DOMAIN_KINDS, {type(row[0]).__name__ for row in DOMAINS.values()}),
    # The others map inputs, or wrap one of these.
    "networks, README": (NETWORKS, methods_table.named("networks")),
    "networks, command line": ({"MLP", "ModifiedMLP"}, {network.__name__ for network in catalogue.MODELS.values()}),
}


@pytest.mark.parametrize(("public", "there"), PLACES.values(), ids=PLACES.keys())
def test_every_place_names_the_same_methods(public, there):
    assert public == there, {"missing there": sorted(public - there), "not public": sorted(there - public)}


def test_every_network_is_asked_what_it_does_with_a_grid():
    """What is evolved in time has tests of its own."""
    assert set(test_networks.THREE_COORDINATES) >= NETWORKS - {"Evolved", "Splined"}


def test_every_problem_has_an_example_and_every_example_is_run():
    examples = {path.stem for path in (ROOT / "examples").glob("*.py")}
    assert PROBLEMS - {"cavity_uvp"} <= examples
    assert examples == {*test_examples.BOUNDS, *test_examples.SLOW}


@pytest.mark.parametrize("space", ["term_weights", "point_weights"])
def test_the_command_line_makes_the_rule_that_it_names(space):
    made = {name: entry.make(problems.harmonic) for name, entry in getattr(catalogue, space.upper()).items()}
    assert made.pop("none") is None
    places = {name: rule.update.__module__ for name, rule in made.items()}
    assert places == {name: f"pinnjax.{space}.{name}" for name in made}


def test_the_command_line_makes_the_optimizer_that_it_names():
    """One of ours is its own factory's: a step of both is the same; what has a learning rate is given the recipe's."""
    for name, entry in catalogue.OPTIMIZERS.items():
        made = entry.make(problems.harmonic)(1e-3)
        assert isinstance(made, optax.GradientTransformation), name
        if name in OPTIMIZERS - {"nystrom_natural_gradient"}:
            rate = {"learning_rate": 1e-3} if name == "soap" else {}
            own = getattr(pj.optimizers, name)(**rate)
            params = {"w": jax.numpy.ones((3, 2))}
            chex.assert_trees_all_equal_shapes(made.init(params), own.init(params))
            assert made.update.__code__ is own.update.__code__, name


@pytest.mark.parametrize(
    ("rules", "place", "oracles"),
    [
        (TERM_RULES, pj.term_weights, ["scalar_rules", "lr_annealing", "surgery", "tools"]),
        (POINT_RULES, pj.point_weights, ["point_rules", "self_adaptive", "pecann"]),
        (OPTIMIZERS, pj.optimizers, ["quasi_newton", "gauss_newton", "spring", "nystrom", "soap"]),
        (set(pj.diagnostics.__all__) - {"Phases", "Scales", "Size", "Spectrum"}, pj.diagnostics, ["diagnostics"]),
    ],
    ids=["term rules", "point rules", "optimisers", "diagnostics"],
)
def test_everything_is_computed_by_hand_somewhere_and_has_an_example(rules, place, oracles):
    text = "".join((ROOT / "tests" / f"test_{name}.py").read_text() for name in oracles)
    assert not {
        name for name in rules if not re.search(rf"(?:weights|optimizers|\bd)\.{name}\b|import.*\b{name}\b", text)
    }
    assert not {name for name in rules if ">>> " not in getattr(place, name).__doc__}


def test_every_paper_behind_a_rule_can_be_cited():
    notes = " ".join(re.findall(r'notes: "(.*)"', (ROOT / "CITATION.cff").read_text()))
    entries = catalogue.TERM_WEIGHTS | catalogue.POINT_WEIGHTS | catalogue.OPTIMIZERS
    assert not {name for name, entry in entries.items() if entry.source and not re.search(rf"\b{name}\b", notes)}
