"""A network on each subdomain: parts, interfaces, their terms, and what balancers make of them."""

import chex
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import pinnjax as pj
from pinnjax import nn, sampling, subdomains
from pinnjax.cli.reproduce import layered, xpinn
from pinnjax.terms import bridge

from .marks import few

pytestmark = pytest.mark.usefixtures("quick_compilation")
Box = sampling.Box
LAYERS = [Box((0.0,), (0.5,)), Box((0.5,), (2.0,))]
SQUARES = [Box((-1.0, 0.0), (0.0, 1.0)), Box((0.0, 0.0), (1.0, 1.0)), Box((-1.0, -1.0), (0.0, 0.0))]  # an L


class Linear(nn.Module):
    """u = a · x + b."""

    def __init__(self, a, b):
        self.a, self.b = nn.Param(jnp.asarray(a, float)), nn.Param(jnp.asarray(b, float))

    def __call__(self, x):
        return self.a[...] @ x + self.b[...]


def mlp(d, width=4, seed=0, **options):
    return nn.MLP(d, "scalar", width=width, depth=1, rngs=nn.Rngs(seed), **options)


def linear_layers():
    """u = 3x + 1 on the left, u = 5x - 2 on the right."""
    return nn.Subdomains([Linear([3.0], 1.0), Linear([5.0], -2.0)], LAYERS)


def pde(u, x):
    return pj.laplacian(u)(x) + 1.0


def residuals_of(u, terms, batch):
    return {name: jax.vmap(lambda x, r=r: r(u, x))(batch[name]) for name, r in terms.items()}


def step(terms, model, batch, rule, steps=2):
    train = pj.train_step(terms, optax.sgd(1e-3), term_weights=rule)
    state = train.init(model, batch)
    for _ in range(steps):
        state, metrics = train.update(state, batch)
    return state, metrics


def test_the_field_at_a_point_is_that_of_the_subdomain_it_is_in():
    u = linear_layers()
    x = jnp.array([[0.25], [1.0], [-1.0], [7.0]])
    np.testing.assert_allclose(jax.vmap(u)(x), [1.75, 3.0, -2.0, 33.0])  # outside: the nearest one's
    np.testing.assert_allclose(jax.vmap(u.part(1))(x[:1]), [-0.75])
    np.testing.assert_allclose(jax.vmap(pj.grad(u))(x[:2])[:, 0], [3.0, 5.0])


def test_a_point_on_an_interface_belongs_to_exactly_one_part():
    u = linear_layers()
    assert u(jnp.array([0.5])) == u.part(0)(jnp.array([0.5])) != u.part(1)(jnp.array([0.5]))
    assert u(jnp.nextafter(jnp.array([0.5]), jnp.array([1.0]))) == pytest.approx(0.5)
    plane = nn.Subdomains([Linear([0.0, 0.0], float(i)) for i in range(3)], SQUARES)
    corner_and_sides = jnp.array([[0.0, 0.0], [0.0, 0.5], [-0.5, 0.0], [0.2, 0.0], [0.0, -0.5]])
    np.testing.assert_array_equal(jax.vmap(plane)(corner_and_sides), [0, 0, 0, 1, 2])


def test_any_function_of_a_point_may_say_the_number_of_its_subdomain():
    ring = nn.Subdomains([Linear([0.0, 0.0], 1.0), Linear([0.0, 0.0], 2.0)], lambda x: (jnp.sum(x**2) > 1).astype(int))
    np.testing.assert_array_equal(jax.vmap(ring)(jnp.array([[0.5, 0.5], [1.0, 0.5]])), [1.0, 2.0])
    wrong = nn.Subdomains([Linear([0.0], 1.0)], lambda x: x[0])
    with pytest.raises(TypeError, match=r"a subdomain.s number is an array .* float32; expected an int"):
        wrong(jnp.zeros(1))


def test_networks_of_different_sizes_and_vector_fields_are_one_field(dtype):
    networks = [nn.MLP(3, 2, width=width, depth=1, param_dtype=dtype, rngs=nn.Rngs(width)) for width in (3, 6)]
    u = nn.Subdomains(networks, [Box((0.0,) * 3, (1.0,) * 3), Box((0.0, 0.0, 1.0), (1.0, 1.0, 3.0))])
    x = jnp.array([[0.5, 0.5, 0.5], [0.5, 0.5, 2.0]], dtype)
    values = jax.jit(jax.vmap(u))(x)
    assert values.dtype == dtype
    chex.assert_trees_all_close(values, jnp.stack([networks[0](x[0]), networks[1](x[1])]), rtol=1e-6)


@pytest.mark.parametrize(
    ("boxes", "names", "normals", "fixed"),
    [
        ([Box((1.0,), (3.0,)), Box((0.0,), (1.0,))], ["0-1"], [[-1.0]], [(0, 1.0)]),
        (SQUARES, ["0-1", "0-2"], [[1.0, 0.0], [0.0, -1.0]], [(0, 0.0), (1, 0.0)]),
        (  # a large box on two small ones, which touch each other; all in three dimensions
            [Box((0, 0, 0), (1, 1, 1)), Box((1, 0, 0), (2, 1, 1)), Box((0, 0, 1), (2, 1, 2))],
            ["0-1", "0-2", "1-2"],
            [[1.0, 0.0, 0.0], [0.0, 0.0, 1.0], [0.0, 0.0, 1.0]],
            [(0, 1.0), (2, 1.0), (2, 1.0)],
        ),
    ],
)
def test_interfaces_are_the_common_faces_with_normals_from_the_first_to_the_second(boxes, names, normals, fixed):
    found = sampling.interfaces(boxes)
    assert [one.name for one in found] == names
    for one, normal, (axis, place) in zip(found, normals, fixed, strict=True):
        x, n = one.points(jax.random.key(0), 40)
        np.testing.assert_array_equal(n, np.broadcast_to(normal, n.shape))
        np.testing.assert_array_equal(x[:, axis], place)
        assert len(x) == (1 if len(normal) == 1 else 40)
        for box in (boxes[one.first], boxes[one.second]):
            assert bool(box.contains(x).all())


def test_corners_that_differ_by_rounding_are_one_face():
    (one,) = sampling.interfaces([Box((0.0,), (0.1 + 0.2,)), Box((0.3,), (1.0,))])
    assert one.name == "0-1"
    assert sampling.interfaces([Box((0.0, 0.0), (1.0, 1.0))]) == ()


def test_conditions_of_two_linear_fields_are_those_by_hand():
    """At x = 0.5 u_0 = 2.5 and u_1 = 0.5; with k = 2 and 10 the fluxes are 2·3 and 10·5, and n = 1."""
    terms, draw = subdomains.decomposed(
        [lambda u, x: u(x) - 1.0, lambda u, x: 2 * u(x)],
        LAYERS,
        coefficient=[2.0, lambda x: 20 * x[0]],
        conditions=subdomains.CONDITIONS,
        inside=[3, 4],
    )
    batch = draw(jax.random.key(0))
    found = residuals_of(linear_layers(), terms, batch)
    assert list(found) == ["pde/0", "pde/1", *(f"interface/0-1/{name}" for name in subdomains.CONDITIONS)]
    assert found["pde/0"].shape == (3,) and found["pde/1"].shape == (4,)
    np.testing.assert_allclose(found["interface/0-1/value"], [2.0])
    np.testing.assert_allclose(found["interface/0-1/average"], [[1.0, -1.0]])  # half the loss of the value's 4
    np.testing.assert_allclose(found["interface/0-1/flux"], [6.0 - 50.0])
    np.testing.assert_allclose(found["interface/0-1/residual"], [1.5 - 1.0])
    np.testing.assert_allclose(found["pde/1"], 2 * (5 * batch["pde/1"][:, 0] - 2), rtol=1e-6)


def test_the_normal_turns_with_the_order_of_the_subdomains_and_the_flux_is_continuous_all_the_same():
    """u = x on one side and u = x / 1000 with k = 1000 on the other carry one flux, whatever side is the first."""
    for order in ([0, 1], [1, 0]):
        boxes = [LAYERS[i] for i in order]
        parts, k = [[Linear([1.0], 0.0), Linear([1e-3], 0.4995)][i] for i in order], [[1.0, 1e3][i] for i in order]
        terms, draw = subdomains.decomposed(pde, boxes, coefficient=k)
        found = residuals_of(nn.Subdomains(parts, boxes), terms, draw(jax.random.key(0)))
        np.testing.assert_allclose(found["interface/0-1/flux"], 0.0, atol=1e-6)
        np.testing.assert_allclose(found["interface/0-1/value"], 0.0, atol=1e-6)


def test_a_flux_of_ones_own_is_given_the_field_of_its_side_the_point_and_the_normal():
    flux = lambda u, x, normal: (u(x) ** 2 / 2) * normal[0]  # Burgers
    terms, draw = subdomains.decomposed(pde, LAYERS[::-1], flux=flux)
    u = nn.Subdomains([Linear([5.0], -2.0), Linear([3.0], 1.0)], LAYERS[::-1])
    found = residuals_of(u, terms, draw(jax.random.key(0)))
    np.testing.assert_allclose(found["interface/0-1/flux"], [-(0.5**2) / 2 + 2.5**2 / 2])


def test_a_curved_interface_has_the_normals_of_its_shape():
    """u = |x|² inside the circle of radius 2 and 4 outside: u is continuous, and its slope jumps by 2r = 4."""
    disk = sampling.Disk((0.0, 0.0), 2.0)
    around = sampling.Difference(Box((-3.0, -3.0), (3.0, 3.0)), disk)
    between = [sampling.Interface(0, 1, disk.boundary)]
    terms, draw = subdomains.decomposed(pde, [disk, around], coefficient=1.0, interfaces=between, on_interface=7)

    class Squared(nn.Module):
        def __call__(self, x):
            return jnp.sum(x**2)

    u = nn.Subdomains([Squared(), Linear([0.0, 0.0], 4.0)], lambda x: (jnp.sum(x**2) > 4).astype(int))
    found = residuals_of(u, terms, draw(jax.random.key(0)))
    np.testing.assert_allclose(found["interface/0-1/value"], np.zeros(7), atol=1e-5)
    np.testing.assert_allclose(found["interface/0-1/flux"], np.full(7, 4.0), rtol=1e-5)
    np.testing.assert_allclose(found["pde/0"], 5.0, rtol=1e-5)


def test_residual_points_of_a_subdomain_give_no_gradient_to_the_networks_of_others():
    terms, draw = subdomains.decomposed(pde, SQUARES, coefficient=1.0, inside=5, on_interface=3)
    train = pj.train_step(terms, optax.sgd(0.1))
    state = train.init(nn.Subdomains([mlp(2, seed=i) for i in range(3)], SQUARES), draw(jax.random.key(0)))
    _, grads = pj.value_and_grads(terms, state.definition)(state.params, draw(jax.random.key(0)))
    moved = {
        name: [any(np.any(np.asarray(leaf)) for leaf in jax.tree.leaves(g["networks"][i])) for i in range(3)]
        for name, g in grads.items()
    }
    assert moved == {
        "pde/0": [True, False, False],
        "pde/1": [False, True, False],
        "pde/2": [False, False, True],
        "interface/0-1/value": [True, True, False],
        "interface/0-1/flux": [True, True, False],
        "interface/0-2/value": [True, False, True],
        "interface/0-2/flux": [True, False, True],
    }


RULES = {
    "fixed": lambda: pj.term_weights.fixed({"interface/0-1": 7.0, "pde/1": 3.0}),
    "lr_annealing": lambda: pj.term_weights.lr_annealing("pde", variant="norm", decay=0.0),
    "grad_norm_ratio": pj.term_weights.grad_norm_ratio,
}


@pytest.mark.parametrize("name", few(list(RULES), "lr_annealing", rest="exhaustive"))
def test_rules_weigh_the_terms_by_name_and_permuted_subdomains_have_permuted_weights(name):
    found = []
    points = {0: jnp.linspace(0.0, 0.5, 4)[:, None], 1: jnp.linspace(0.5, 2.0, 4)[:, None]}
    if name == "fixed":
        rules = [RULES[name](), pj.term_weights.fixed({"interface/0-1": 7.0, "pde/0": 3.0})]
    else:
        rules = [RULES[name]()] * 2
    for order, rule in zip(([0, 1], [1, 0]), rules, strict=True):
        boxes = [LAYERS[i] for i in order]
        terms, draw = subdomains.decomposed(pde, boxes, coefficient=[[1.0, 50.0][i] for i in order])
        batch = draw(jax.random.key(0)) | {f"pde/{place}": points[i] for place, i in enumerate(order)}
        model = nn.Subdomains([mlp(1, width=3 + i, seed=i) for i in order], boxes)
        _, metrics = step(terms, model, batch, rule)
        found.append({t: float(metrics[f"weight/{t}"]) for t in terms})
    first, second = found
    assert first["interface/0-1/flux"] != first["pde/0"]
    swapped = {"pde/0": "pde/1", "pde/1": "pde/0"}
    for term, weight in first.items():
        assert second[swapped.get(term, term)] == pytest.approx(weight, rel=1e-3), term
    if name == "fixed":
        assert first == {"pde/0": 1.0, "pde/1": 3.0, "interface/0-1/value": 7.0, "interface/0-1/flux": 7.0}
    if name == "lr_annealing":
        assert first["pde/0"] == first["pde/1"] == 1.0


def test_an_unknown_coefficient_of_the_whole_model_is_seen_in_each_part():
    model = nn.WithCoefficients(linear_layers(), {"nu": 0.5})
    terms, draw = subdomains.decomposed(lambda u, x: u.nu * u(x), LAYERS, coefficient=1.0, inside=2)
    batch = draw(jax.random.key(0))
    found = residuals_of(model, terms, batch)
    np.testing.assert_allclose(found["pde/1"], 0.5 * (5 * batch["pde/1"][:, 0] - 2), rtol=1e-6)


def test_a_plain_function_is_every_part():
    """So an exact solution can be put in: its residuals are zero, and its conditions hold."""
    terms, draw = subdomains.decomposed(pde, SQUARES, coefficient=1.0)
    found = residuals_of(lambda x: -jnp.sum(x**2) / 4, terms, draw(jax.random.key(0)))
    for values in found.values():
        np.testing.assert_allclose(values, np.zeros(len(values)), atol=1e-6)
    with pytest.raises(TypeError, match=r"the model is a MLP; expected a pinnjax.nn.Subdomains"):
        terms["pde/0"](mlp(2), jnp.zeros(2))


@pytest.mark.slow
def test_a_run_that_is_stopped_and_resumed_is_the_uninterrupted_one(tmp_path):
    terms, draw = subdomains.decomposed(pde, LAYERS, coefficient=1.0, inside=4)
    terms["bc"] = lambda u, x: u(x)
    draw_all = lambda key: {**draw(key), "bc": jnp.array([[0.0], [2.0]])}
    train = pj.train_step(
        terms, optax.adam(1e-2), term_weights=pj.term_weights.gradnorm(), sampler=sampling.resample(draw_all)
    )
    start = lambda: train.init(nn.Subdomains([mlp(1, 3), mlp(1, 5)], LAYERS), key=jax.random.key(0))
    options = {"progress": False, "steps_per_call": 2}
    whole, _ = pj.fit(train, start(), steps=4, **options)
    pj.fit(train, start(), steps=2, checkpoint=tmp_path, **options)
    resumed, _ = pj.fit(train, start(), steps=4, checkpoint=tmp_path, **options)
    chex.assert_trees_all_equal(resumed.params, whole.params)
    u = train.model(resumed)
    assert u(jnp.array([0.25])) == u.part(0)(jnp.array([0.25]))


@pytest.mark.exhaustive
def test_the_doctor_reads_such_terms():
    terms, draw = subdomains.decomposed(pde, LAYERS, coefficient=[1.0, 1000.0], inside=8)
    terms["bc"] = lambda u, x: u(x)
    batch = {**draw(jax.random.key(0)), "bc": jnp.array([[0.0], [2.0]])}
    found = pj.diagnose(terms, nn.Subdomains([mlp(1), mlp(1, seed=1)], LAYERS), batch, steps=50)
    assert "pde/1" in str(found)  # its gradient is the largest, by the square of 1000


def test_the_layered_solution_solves_its_equation_and_has_a_continuous_flux(x64):
    terms, draw = subdomains.decomposed(
        [layered.in_layer(0), layered.in_layer(1)], layered.LAYERS, coefficient=layered.COEFFICIENTS, inside=9
    )
    left, right = (lambda x, s=s: layered.exact(x - s) for s in (1e-12, -1e-12))  # the two sides of x = 1/2
    batch = draw(jax.random.key(0))
    for name in ("pde/0", "pde/1"):
        np.testing.assert_allclose(residuals_of(layered.exact, {name: terms[name]}, batch)[name], 0, atol=1e-9)
    middle, ends = jnp.array([0.5]), jnp.array([[0.0], [1.0]])
    np.testing.assert_allclose(left(middle), right(middle), atol=1e-10)
    np.testing.assert_allclose(pj.grad(left)(middle), 1000 * pj.grad(right)(middle), rtol=1e-9)
    np.testing.assert_allclose(jax.vmap(lambda x: layered.bc(layered.exact, x))(ends), 0, atol=1e-12)


@pytest.mark.slow
def test_a_coefficient_that_jumps_by_a_thousand_is_solved_to_a_thousandth(x64):
    terms, draw = subdomains.decomposed(
        [layered.in_layer(0), layered.in_layer(1)], layered.LAYERS, coefficient=layered.COEFFICIENTS
    )
    batch = draw(jax.random.key(0)) | {
        f"pde/{i}": jnp.linspace(box.lower[0], box.upper[0], 50)[:, None] for i, box in enumerate(layered.LAYERS)
    }
    batch |= {"bc": jnp.array([[0.0], [1.0]])}
    seen = [nn.Standardize.box(box.lower, box.upper) for box in layered.LAYERS]
    parts = [nn.MLP(1, "scalar", width=16, depth=2, inputs=inputs, rngs=nn.Rngs(i)) for i, inputs in enumerate(seen)]
    every = {**terms, "bc": layered.bc}
    first = pj.train_step(every, optax.adam(optax.cosine_decay_schedule(3e-3, 3000)))
    second = pj.train_step(every, pj.optimizers.ssbroyden())
    state = first.init(nn.Subdomains(parts, layered.LAYERS), batch)
    state, _ = pj.fit([pj.Phase(first, 3000), pj.Phase(second, 500)], state, batch, progress=False)
    grid = jnp.linspace(0.0, 1.0, 401)[:, None]
    error = pj.relative_l2(second.model(state), grid, jax.vmap(layered.exact)(grid))
    assert error <= 1e-3  # measured 7e-6; Adam alone ends at 1.7


@pytest.mark.slow
def test_a_divided_problem_has_as_many_parameters_as_the_single_one_beside_it():
    """Within a tenth: widths are integers."""
    for name in xpinn.DIVIDED:
        sizes = []
        for kind in ("single", "divided"):
            one = xpinn.run(f"{name} {kind} none")
            model = one.recipe.model(**one.problem.network, param_dtype=jnp.float32, rngs=nn.Rngs(0))
            sizes.append(sum(leaf.size for leaf in jax.tree.leaves(bridge.split(model)[1])))
        assert abs(sizes[0] - sizes[1]) <= 0.1 * sizes[0], name


def other(**changes):
    options = {"pde": pde, "subdomains": LAYERS, "coefficient": 1.0} | changes
    return lambda: subdomains.decomposed(options.pop("pde"), options.pop("subdomains"), **options)


def drawn(normals):
    between = [sampling.Interface(0, 1, lambda key, n, dtype: (jnp.zeros((n, 1)), normals))]
    return lambda: other(interfaces=between)().draw(jax.random.key(0))


WRONG = {
    "boxes that overlap": (other(subdomains=[Box((0.0,), (0.6,)), LAYERS[1]]), "boxes 0 and 1 overlap from .0.5. to"),
    "boxes that touch nowhere": (other(subdomains=[Box((0.0,), (0.4,)), LAYERS[1]]), r"boxes \[0, 1\] touch no other"),
    "boxes with a corner in common": (
        other(subdomains=[Box((0.0, 0.0), (1.0, 1.0)), Box((1.0, 1.0), (2.0, 2.0))]),
        r"boxes \[0, 1\] touch no other",
    ),
    "boxes of other dimensions": (other(subdomains=[SQUARES[0], LAYERS[0]]), "box 1 has 1 dimensions; expected 2"),
    "what is no box": (other(subdomains=[LAYERS[0], sampling.Disk((0.0, 0.0), 1.0)]), "subdomain 1 is a Disk"),
    "no coefficient": (other(coefficient=None), "'flux' needs a coefficient .* neither is given"),
    "coefficient and flux": (other(flux=lambda u, x, n: u(x)), "'flux' needs a coefficient .* both are given"),
    "too few coefficients": (other(coefficient=[1.0]), "coefficient has 1 entries; expected one for each of 2"),
    "a condition's name": (other(conditions=["fluxes"]), "conditions are .'fluxes'.; expected some of"),
    "one condition": (other(conditions="flux"), "conditions are 'flux'; expected some of"),
    "an interface of none": (other(interfaces=[sampling.Interface(0, 2, LAYERS[0].boundary)]), "below 2"),
    "a pair twice": (other(interfaces=[sampling.Interface(*p, print) for p in ((0, 1), (1, 0))]), "two interfaces"),
    "no interface": (other(interfaces=[]), r"subdomains \[0, 1\] have no interface"),
    "long normals": (drawn(jnp.full((100, 1), 2.0)), "a normal has length 2; expected 1"),
    "normals of another shape": (drawn(jnp.ones(100)), r"normals of shape \(100,\); expected \(n, d\) twice"),
    "an interface with itself": (lambda: sampling.Interface(1, 1, print), "both subdomains are number 1"),
    "a negative number": (lambda: sampling.Interface(-1, 1, print), "first is -1; expected a subdomain's number"),
    "no draw": (lambda: sampling.Interface(0, 1, None), "draw is None; expected a function"),
    "too few networks": (lambda: nn.Subdomains([mlp(1)], LAYERS), "1 networks and 2 boxes; expected equal numbers"),
    "no networks": (lambda: nn.Subdomains([], LAYERS), "there are no networks"),
    "networks that are none": (lambda: nn.Subdomains([mlp(1), abs], LAYERS), "network 1 is a builtin_function_or"),
    "a model of overlapping boxes": (lambda: nn.Subdomains([mlp(1)] * 2, [LAYERS[0]] * 2), "boxes 0 and 1 overlap"),
    "fields of two shapes": (
        lambda: nn.Subdomains([mlp(1), nn.MLP(1, 2, width=2, depth=1, rngs=nn.Rngs(0))], LAYERS)(jnp.zeros(1)),
        r"fields have shapes \[\(\), \(2,\)\]",
    ),
    "a part that is not there": (lambda: linear_layers().part(2), r"part 2; expected a number in \[0, 2\)"),
}


@pytest.mark.parametrize("case", WRONG)
def test_wrong_input_is_named(case):
    wrong, said = WRONG[case]
    with pytest.raises((ValueError, TypeError, IndexError), match=said) as caught:
        wrong()
    assert "\n" not in str(caught.value)
