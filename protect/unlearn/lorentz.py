"""The hyperboloid of curvature -c (Lorentz model): distance, maps at the origin, cones (Desai et al. 2023, MERU).

A point is its space part x; its time part is sqrt(1/c + |x|^2). Curvature c is above 0, a number or a scalar
tensor. Give fp32 or fp64, never half precision. All gradients are finite, at equal points, the origin, the rim of
a saturated cone and on one ray too: there they are 0 or that of the nearest regular point.
"""

import math

import torch
from jaxtyping import Float
from torch import Tensor

Points = Float[Tensor, "batch dim"]
Others = Float[Tensor, "others dim"]
Curvature = Float[Tensor, ""] | float

CLOSE = 1e-8  # of 1 - c<x,y>: below it a distance is taken as linear
EDGE = 1e-6  # how near sines and cosines come to +-1: in fp32 they would be hit exactly
TINY = 1e-7  # least length that is divided by
FURTHEST = math.asinh(2.0**15)  # from the origin, in units of 1/sqrt(c)
MIN_RADIUS = 0.1  # K: points nearer to the origin than about 2K contain everything


def time(x: Points, c: Curvature) -> Float[Tensor, " batch"]:
    """Time part of the points."""
    return (1 / c + x.square().sum(dim=-1)).sqrt()


def inner(x: Points, y: Others, c: Curvature) -> Float[Tensor, "batch others"]:
    """Lorentz product of all pairs; on the hyperboloid -1/c at most, the nearer the greater."""
    return x @ y.T - time(x, c)[:, None] * time(y, c)


def distances(x: Points, y: Others, c: Curvature) -> Float[Tensor, "batch others"]:
    """Geodesic distance of all pairs."""
    apart = torch.cdist(x, y, compute_mode="donot_use_mm_for_euclid_dist").square()
    return _arcosh1p(_excess(apart, x[:, None], y[None], c)) / c**0.5


def distance(x: Points, y: Points, c: Curvature) -> Float[Tensor, " batch"]:
    """Geodesic distance of row i from row i."""
    return _arcosh1p(_excess((x - y).square().sum(dim=-1), x, y, c)) / c**0.5


def radius(x: Points, c: Curvature) -> Float[Tensor, " batch"]:
    """Geodesic distance from the origin."""
    return torch.asinh(c**0.5 * x.norm(dim=-1)) / c**0.5


def exp0(v: Points, c: Curvature) -> Points:
    """The points that tangent vectors at the origin lead to."""
    length = c**0.5 * v.norm(dim=-1, keepdim=True)
    return v * torch.sinh(length.clamp(TINY, FURTHEST)) / length.clamp(min=TINY)


def log0(x: Points, c: Curvature) -> Points:
    """Tangent vectors at the origin that lead to the points."""
    length = (c**0.5 * x.norm(dim=-1, keepdim=True)).clamp(min=TINY)
    return x * torch.asinh(length) / length


def at_radius(x: Points, target: Float[Tensor, " batch"], c: Curvature) -> Points:
    """The points on the same rays at geodesic distance `target` from the origin."""
    return x / x.norm(dim=-1, keepdim=True).clamp(min=TINY) * (torch.sinh(c**0.5 * target) / c**0.5)[:, None]


def half_aperture(x: Points, c: Curvature) -> Float[Tensor, " batch"]:
    """Half the opening of the entailment cone at x; narrower outwards, a right angle near the origin."""
    rim = 2 * MIN_RADIUS / c**0.5
    length = x.norm(dim=-1)
    sine = rim / torch.maximum(length, torch.zeros_like(length) + rim)
    return torch.asin(sine.clamp(max=1 - EDGE))


def exterior_angle(x: Points, y: Points, c: Curvature) -> Float[Tensor, " batch"]:
    """Angle at x between the ray from the origin onwards and the way to y, in [0, pi]; row i with row i."""
    excess = _excess((x - y).square().sum(dim=-1), x, y, c)
    ahead = _time_gap(y, x, c) - time(x, c) * excess
    way = (excess * (excess + 2)).clamp(min=CLOSE).sqrt() * x.norm(dim=-1).clamp(min=TINY)
    return torch.acos((ahead / way).clamp(-1 + EDGE, 1 - EDGE))


def outside(x: Points, y: Points, c: Curvature, aperture: float = 1.0) -> Float[Tensor, " batch"]:
    """How far y lies outside the cone of x, as an angle; below 0 inside. "x contains y" is max(0, this)."""
    return exterior_angle(x, y, c) - aperture * half_aperture(x, c)


def _time_gap(x: Tensor, y: Tensor, c: Curvature) -> Tensor:
    """Difference of the time parts, without cancellation."""
    first, second = x.square().sum(dim=-1), y.square().sum(dim=-1)
    return (first - second) / ((1 / c + first).sqrt() + (1 / c + second).sqrt())


def _excess(apart: Tensor, x: Tensor, y: Tensor, c: Curvature) -> Tensor:
    """-c<x,y> - 1 from the squared Euclidean distance of the space parts, without cancellation."""
    return (c / 2 * (apart - _time_gap(x, y, c).square())).clamp(min=0)


def _arcosh1p(u: Tensor) -> Tensor:
    """arcosh(1 + u) for u >= 0; a straight line through 0 below CLOSE, where the true slope is infinite."""
    safe = u.clamp(min=CLOSE)
    regular = torch.log1p(safe + (safe * (safe + 2)).sqrt())
    slope = math.log1p(CLOSE + math.sqrt(CLOSE * (CLOSE + 2))) / CLOSE
    return torch.where(u > CLOSE, regular, u * slope)
