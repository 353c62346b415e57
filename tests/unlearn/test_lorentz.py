"""The hyperboloid: what geometry demands, and gradients that stay finite where formulas break."""

import math

import pytest
import torch

from protect.unlearn import lorentz

CURVATURES = (0.1, 0.5, 1.0, 2.0, 10.0)


def points(count, size=1.0, seed=0, dim=6, dtype=torch.float64):
    return torch.randn(count, dim, generator=torch.Generator().manual_seed(seed), dtype=dtype) * size


def child(x, factor):
    """A point further out on the ray of x."""
    return x * factor


@pytest.mark.parametrize("c", CURVATURES)
def test_points_lie_on_the_hyperboloid(c):
    x = points(5)
    own = lorentz.inner(x, x, c).diagonal()
    assert torch.allclose(own, torch.full_like(own, -1 / c))


@pytest.mark.parametrize("c", CURVATURES)
def test_distance_agrees_with_its_definition(c):
    x, y = points(4), points(5, seed=1)
    by_definition = torch.arccosh(-c * lorentz.inner(x, y, c)) / c**0.5
    assert torch.allclose(lorentz.distances(x, y, c), by_definition)
    assert torch.allclose(lorentz.distance(x, y[:4], c), by_definition[:, :4].diagonal())


@pytest.mark.parametrize("c", CURVATURES)
def test_distance_is_a_metric(c):
    x = points(7)
    d = lorentz.distances(x, x, c)
    assert torch.equal(d.diagonal(), torch.zeros(7, dtype=d.dtype))
    assert torch.allclose(d, d.T)
    assert (d[:, None] <= d[:, :, None] + d.T[None] + 1e-9).all()


@pytest.mark.parametrize("c", CURVATURES)
def test_maps_at_the_origin_undo_each_other(c):
    v = points(6, size=0.8)
    x = lorentz.exp0(v, c)
    assert torch.allclose(lorentz.log0(x, c), v)
    assert torch.allclose(lorentz.exp0(lorentz.log0(v, c), c), v)
    assert torch.allclose(lorentz.radius(x, c), v.norm(dim=-1))
    origin = torch.zeros(1, 6, dtype=torch.float64)
    assert torch.allclose(lorentz.distances(origin, x, c)[0], v.norm(dim=-1))


def test_a_vector_that_is_too_long_keeps_its_direction_and_becomes_finite():
    x = lorentz.exp0(torch.tensor([[3e4, 4e4]]), 1.0)
    assert torch.isfinite(x).all()
    assert torch.allclose(x / x.norm(), torch.tensor([[0.6, 0.8]]))


@pytest.mark.parametrize("c", CURVATURES)
def test_at_radius_moves_along_the_ray(c):
    x, target = points(4), torch.tensor([0.1, 0.5, 1.0, 3.0], dtype=torch.float64)
    moved = lorentz.at_radius(x, target, c)
    assert torch.allclose(lorentz.radius(moved, c), target)
    assert torch.allclose(torch.nn.functional.cosine_similarity(moved, x), torch.ones(4, dtype=x.dtype))


@pytest.mark.parametrize("c", CURVATURES)
def test_cones_narrow_outwards_and_are_a_right_angle_near_the_origin(c):
    lengths = torch.linspace(0, 5, 60, dtype=torch.float64)[:, None] / c**0.5
    x = torch.cat([lengths, torch.zeros_like(lengths)], dim=1)
    aperture = lorentz.half_aperture(x, c)
    assert (aperture.diff() <= 0).all() and aperture[-1] < 0.1
    near = lengths[:, 0] <= 2 * lorentz.MIN_RADIUS / c**0.5
    assert torch.allclose(aperture[near], torch.full_like(aperture[near], math.pi / 2), atol=2e-3)
    assert (aperture[~near].diff() < 0).all()


@pytest.mark.parametrize("c", CURVATURES)
def test_exterior_angle_is_an_angle_and_0_for_children_on_the_ray(c):
    x, y = points(50, c**-0.5), points(50, c**-0.5, seed=1)
    angle = lorentz.exterior_angle(x, y, c)
    assert ((angle >= 0) & (angle <= math.pi)).all() and angle.std() > 0.1
    assert (lorentz.exterior_angle(x, child(x, 2.0), c) < 3e-3).all()
    assert (lorentz.exterior_angle(x, child(x, 0.5), c) > math.pi - 3e-3).all()
    assert (lorentz.outside(x, child(x, 2.0), c) < 0).all()


def test_exterior_angle_is_that_of_the_hyperbolic_triangle():
    x, y, c = points(20), points(20, seed=1), 1.7
    origin = torch.zeros_like(x)
    ox, oy, xy = (c**0.5 * lorentz.distance(a, b, c) for a, b in ((origin, x), (origin, y), (x, y)))
    inside = torch.acos((ox.cosh() * xy.cosh() - oy.cosh()) / (ox.sinh() * xy.sinh()))
    assert torch.allclose(lorentz.exterior_angle(x, y, c), math.pi - inside, atol=1e-6)


ORIGIN = torch.zeros(3, 4)
POINTS = points(3, dim=4, dtype=torch.float32)
RIM = torch.nn.functional.normalize(POINTS, dim=-1) * 2 * lorentz.MIN_RADIUS
TWO_PLACES = {
    "equal": (POINTS, POINTS),
    "nearly equal": (POINTS, POINTS + 1e-6),
    "both at the origin": (ORIGIN, ORIGIN),
    "first at the origin": (ORIGIN, POINTS),
    "second at the origin": (POINTS, ORIGIN),
    "one ray": (POINTS, POINTS * 2),
    "opposite": (POINTS, -POINTS),
    "on the rim": (RIM, POINTS),
    "far": (POINTS * 300, -POINTS * 300),
}
FUNCTIONS = {
    "distance": lambda x, y: lorentz.distance(x, y, 1.0),
    "distances": lambda x, y: lorentz.distances(x, y, 1.0),
    "exterior_angle": lambda x, y: lorentz.exterior_angle(x, y, 1.0),
    "outside": lambda x, y: lorentz.outside(x, y, 1.0),
    "half_aperture": lambda x, y: lorentz.half_aperture(x, 1.0) + lorentz.half_aperture(y, 1.0),
    "radius": lambda x, y: lorentz.radius(x, 1.0) + lorentz.radius(y, 1.0),
    "exp0": lambda x, y: lorentz.exp0(x, 1.0) + lorentz.exp0(y, 1.0),
    "log0": lambda x, y: lorentz.log0(x, 1.0) + lorentz.log0(y, 1.0),
    "at_radius": lambda x, y: lorentz.at_radius(x, torch.ones(3), 1.0) + lorentz.at_radius(y, torch.ones(3), 1.0),
}


@pytest.mark.parametrize("function", FUNCTIONS)
@pytest.mark.parametrize("places", TWO_PLACES)
def test_values_and_gradients_are_finite_at_singular_points(function, places):
    x, y = (place.clone().requires_grad_() for place in TWO_PLACES[places])
    value = FUNCTIONS[function](x, y)
    assert torch.isfinite(value).all()
    value.sum().backward()
    found = [point.grad for point in (x, y) if point.grad is not None]
    assert found and all(torch.isfinite(gradient).all() for gradient in found)


@pytest.mark.parametrize("function", [name for name in FUNCTIONS if name != "at_radius"])
@pytest.mark.parametrize("size", [0.01, 0.3, 1.0, 10.0])
def test_fp32_agrees_with_fp64(function, size):
    x, y = points(3, size, dim=4), points(3, size, seed=1, dim=4)
    exact, found = FUNCTIONS[function](x, y), FUNCTIONS[function](x.float(), y.float())
    assert found.dtype == torch.float32
    if function == "exp0":
        exact, found = exact.norm(dim=-1).log(), found.norm(dim=-1).log()
    assert torch.allclose(found.double(), exact, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("apart", [1e-3, 1e-2])
def test_close_points_keep_their_distance_in_fp32(apart):
    x = points(20, 3.0)
    y = x + apart * points(20, seed=2)
    exact = lorentz.distance(x, y, 1.0)
    assert torch.allclose(lorentz.distance(x.float(), y.float(), 1.0).double(), exact, rtol=1e-2, atol=1e-4)


def test_gradients_are_right_away_from_singular_points():
    x, y = points(3).requires_grad_(), points(3, seed=1).requires_grad_()
    c = torch.tensor(1.3, dtype=torch.float64, requires_grad=True)
    for function in (lorentz.distance, lorentz.distances, lorentz.exterior_angle, lorentz.inner):
        assert torch.autograd.gradcheck(function, (x, y, c))
    for map in (lorentz.exp0, lorentz.log0, lorentz.radius, lorentz.half_aperture):
        assert torch.autograd.gradcheck(map, (x, c))
