"""What the command line knows by name; the library itself has no registry."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax.numpy as jnp
import optax

from pinnjax import nn, optimizers, point_weights, problems, term_weights
from pinnjax.problems import Problem


class Entry(NamedTuple):
    """A rule by name; what it does is the first line of its docstring.

    Attributes:
        make: function of the problem and the options after the colon, returning the transform; of an optimiser, a
            function of the recipe's learning rate that returns it.
        source: paper.
        cost: extra work in a step.
        optimizer: what has to follow it instead of the recipe's optimiser, where it is an adaptive optimiser itself.
        example: how its options are written, where they have to be.
        second_order: whether it is an optimiser that wants points and weights that stay, and double precision.
    """

    make: Callable[..., Any]
    source: str
    cost: str
    optimizer: Callable[..., optax.GradientTransformation] | None = None
    example: str = ""
    second_order: bool = False


def _alone(rule: Callable[..., Any]) -> Callable[..., Any]:
    """A rule that needs no more than its options."""

    def make(problem: Problem, **options: Any) -> Any:
        del problem
        return rule(**options)

    return make


def _against(rule: Callable[..., Any]) -> Callable[..., Any]:
    """A rule whose first argument is the term that the others are balanced against."""
    return lambda problem, **options: rule(problem.balance_against, **options)


def _van_der_meer(problem: Problem, balance: float = 0.5, **measures: float) -> Any:
    return term_weights.van_der_meer(problem.balance_against, measures, balance=balance)


def _self_adaptive(problem: Problem, learning_rate: float = 5e-3, **options: Any) -> Any:
    del problem  # the authors' form: Adam uphill and a mask inside the square, (γ r)²
    return point_weights.self_adaptive(optax.adam(learning_rate), mask=jnp.square, initial=1.0, **options)


def _causal(problem: Problem, time: int = 0, slices: int = 32, **options: Any) -> Any:
    first, last = float(problem.grid[:, time].min()), float(problem.grid[:, time].max())
    return point_weights.causal(
        [problem.balance_against],
        interval=(first, last),
        slices=slices or None,
        time=lambda points: points[:, time],
        **options,
    )


def _pecann(problem: Problem, every: int = 1) -> Any:
    return point_weights.pecann([name for name in problem.terms if name != problem.balance_against], every=every)


def _rated(optimizer: Callable[..., optax.GradientTransformation]) -> Callable[..., Any]:
    """An optimiser with the recipe's learning rate, unless one is given."""

    def make(problem: Problem, **options: Any) -> Callable[[Any], optax.GradientTransformation]:
        del problem
        build = lambda rate: optimizer(**{"learning_rate": rate} | options)
        build(1e-3)  # options that it does not take are refused here
        return build

    return make


def _unrated(optimizer: Callable[..., optax.GradientTransformation]) -> Callable[..., Any]:
    """An optimiser whose steps have a length of their own."""

    def make(problem: Problem, **options: Any) -> Callable[[Any], optax.GradientTransformation]:
        del problem
        made = optimizer(**options)
        return lambda rate: made

    return make


def _nystrom(problem: Problem, rank: int | None = None, **options: Any) -> Any:
    rank = max(1, sum(problem.points.values()) // 10) if rank is None else rank  # the authors' tenth
    make = _unrated(optimizers.nystrom_natural_gradient)
    return make(problem, rank=rank, **options)


PROBLEM_LIST = [
    problems.harmonic,
    problems.tanh,
    problems.poisson,
    problems.helmholtz,
    problems.klein_gordon,
    problems.cavity,
    problems.cavity_uvp,
    problems.burgers,
    problems.allen_cahn,
    problems.wave,
    problems.advection,
    problems.reaction,
    problems.convection_diffusion,
    problems.kdv,
    problems.kuramoto_sivashinsky,
    problems.schroedinger,
    problems.gray_scott,
    problems.inverse_burgers,
]
PROBLEMS: dict[str, Problem] = {problem.name: problem for problem in PROBLEM_LIST}

MODELS: dict[str, Callable[..., Any]] = {"mlp": nn.MLP, "modified_mlp": nn.ModifiedMLP}

SCALARS = "a few scalars"
NORM = "a norm a term"
REDUCTIONS = "two reductions over the parameters a term"
QR = "a QR factorisation"


TERM_WEIGHTS: dict[str, Entry] = {
    "none": Entry(lambda problem: None, "", "none"),
    "fixed": Entry(lambda problem, **weights: term_weights.fixed(weights), "", "none", example="fixed:bc=100"),
    "lr_annealing": Entry(_against(term_weights.lr_annealing), "Wang, Teng, Perdikaris 2021", REDUCTIONS),
    "grad_norm_ratio": Entry(_alone(term_weights.grad_norm_ratio), "Wang, Sankaran, Wang, Perdikaris 2023", NORM),
    "gradnorm": Entry(_alone(term_weights.gradnorm), "Chen et al. 2018", NORM),
    "ntk": Entry(_alone(term_weights.ntk), "Wang, Yu, Perdikaris 2022", "one gradient a point every 100 steps"),
    "brdr_scale": Entry(_alone(term_weights.brdr_scale), "Chen, Howard, Stinis 2024", SCALARS),
    "inverse_dirichlet": Entry(_alone(term_weights.inverse_dirichlet), "Maddu et al. 2022", "a deviation a term"),
    "db_pinn": Entry(_against(term_weights.db_pinn), "Zhou et al. 2025", REDUCTIONS),
    "relobralo": Entry(_alone(term_weights.relobralo), "Bischof, Kraus 2021", SCALARS),
    "softadapt": Entry(_alone(term_weights.softadapt), "Heydari, Thompson, Mehmood 2019", SCALARS),
    "dwa": Entry(_alone(term_weights.dwa), "Liu, Johns, Davison 2019", SCALARS),
    "uncertainty": Entry(_alone(term_weights.uncertainty), "Kendall 2018; Xiang et al. 2022", SCALARS),
    "minimax": Entry(_alone(term_weights.minimax), "Liu, Wang 2021", SCALARS),
    "augmented_lagrangian": Entry(_against(term_weights.augmented_lagrangian), "Hu, Basir, Senocak 2025", SCALARS),
    "van_der_meer": Entry(
        _van_der_meer, "van der Meer et al. 2022", "none", example="van_der_meer:pde=4,bc=8,balance=0.5"
    ),
    "random": Entry(_alone(term_weights.random), "Lin et al. 2022", SCALARS),
    "pcgrad": Entry(_alone(term_weights.pcgrad), "Yu et al. 2020", QR),
    "mgda": Entry(_alone(term_weights.mgda), "Désidéri 2012", QR),
    "cagrad": Entry(_alone(term_weights.cagrad), "Liu, Liu, Jin, Stone, Liu 2021", QR),
    "imtl_g": Entry(_alone(term_weights.imtl_g), "Liu et al. 2021", QR),
    "nash_mtl": Entry(_alone(term_weights.nash_mtl), "Navon et al. 2022", QR),
    "aligned_mtl": Entry(_alone(term_weights.aligned_mtl), "Senushkin et al. 2023", QR),
    "upgrad": Entry(_alone(term_weights.upgrad), "Quinton, Rey 2024", QR),
    "dcgd": Entry(_against(term_weights.dcgd), "Hwang, Lim 2024", QR),
    "config": Entry(_alone(term_weights.config), "Liu, Chu, Thuerey 2025", QR),
    "m_config": Entry(
        _alone(term_weights.m_config), "Liu, Chu, Thuerey 2025", "a QR factorisation, a momentum a term", optax.sgd
    ),
    "multiadam": Entry(_alone(term_weights.multiadam), "Yao et al. 2023", "Adam's, a term", optax.sgd),
}

POINT_WEIGHTS: dict[str, Entry] = {
    "none": Entry(lambda problem: None, "", "none"),
    "self_adaptive": Entry(_self_adaptive, "McClenny, Braga-Neto 2023", "a few operations a point"),
    "residual_attention": Entry(
        _alone(point_weights.residual_attention), "Anagnostopoulos et al. 2024", "a few operations a point"
    ),
    "vrba": Entry(_alone(point_weights.vrba), "Toscano et al. 2025", "an exponential a point"),
    "brdr": Entry(_alone(point_weights.brdr), "Chen, Howard, Stinis 2024", "some ten operations a point"),
    "inverse_point_gradients": Entry(
        _alone(point_weights.inverse_point_gradients), "", "one gradient a point every 10 steps"
    ),
    "causal": Entry(
        _causal, "Wang, Sankaran, Perdikaris 2024", "a sum over slices of time", example="causal:time=0,epsilon=1"
    ),
    "pecann": Entry(_pecann, "Basir, Senocak 2022", "a few operations a constraint point"),
}

QUASI_NEWTON = "a line search, O(P²)"
OPTIMIZERS: dict[str, Entry] = {
    "adam": Entry(_rated(optax.adam), "Kingma, Ba 2015", "a few operations a parameter"),
    "muon": Entry(_rated(optax.contrib.muon), "Jordan 2024", "some products of a layer's matrix"),
    "soap": Entry(_rated(optimizers.soap), "Vyas et al. 2024", "some products of a layer's matrix"),
    "lbfgs": Entry(_unrated(optax.lbfgs), "Liu, Nocedal 1989", "a line search", second_order=True),
    "bfgs": Entry(_unrated(optimizers.bfgs), "Nocedal, Wright 2006", QUASI_NEWTON, second_order=True),
    "ssbfgs": Entry(_unrated(optimizers.ssbfgs), "Al-Baali 1998", QUASI_NEWTON, second_order=True),
    "ssbroyden": Entry(_unrated(optimizers.ssbroyden), "Urbán, Stefanou, Pons 2025", QUASI_NEWTON, second_order=True),
    "gauss_newton": Entry(
        _unrated(optimizers.gauss_newton),
        "Müller, Zeinhofer 2023",
        "one gradient a point, O(N P min(N, P))",
        second_order=True,
    ),
    "spring": Entry(
        _unrated(optimizers.spring),
        "Goldshlager, Abrahamsen, Lin 2024",
        "one gradient a point, O(N P min(N, P))",
        second_order=True,
    ),
    "nystrom_natural_gradient": Entry(
        _nystrom,
        "Guzmán-Cordero et al. 2025",
        "one gradient a point, O(N P rank)",
        example="nystrom_natural_gradient:rank=50",
        second_order=True,
    ),
}
