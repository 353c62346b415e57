"""Outlines of the shapes in the sample scenes: polygons in a square of -1 to 1, y pointing down."""

from math import cos, pi, sin

Point = tuple[float, float]
Part = tuple[list[Point], bool]  # an outline, and whether it is filled (False: cut out of what is below it)


def around(corners: int, radius: float = 1.0, turn: float = 0.0, x: float = 0.0) -> list[Point]:
    """Points spread evenly on a circle; the first one is at the top."""
    angles = [2 * pi * i / corners + turn for i in range(corners)]
    return [(x + radius * sin(angle), -radius * cos(angle)) for angle in angles]


def star(points: int, inner: float) -> list[Point]:
    outside, inside = around(points), around(points, inner, pi / points)
    return [point for pair in zip(outside, inside, strict=True) for point in pair]


def heart() -> list[Point]:
    angles = [2 * pi * i / 48 for i in range(48)]
    return [(sin(t) ** 3, -(13 * cos(t) - 5 * cos(2 * t) - 2 * cos(3 * t) - cos(4 * t)) / 16 - 0.1) for t in angles]


def box(left: float, top: float, right: float, bottom: float) -> list[Point]:
    return [(left, top), (right, top), (right, bottom), (left, bottom)]


SHAPES: dict[str, list[Part]] = {
    "circle": [(around(48, 0.9), True)],
    "square": [(box(-0.8, -0.8, 0.8, 0.8), True)],
    "triangle": [([(0, -0.9), (0.95, 0.75), (-0.95, 0.75)], True)],
    "diamond": [([(0, -1), (0.65, 0), (0, 1), (-0.65, 0)], True)],
    "star": [(star(5, 0.42), True)],
    "ring": [(around(48, 0.95), True), (around(48, 0.5), False)],
    "heart": [(heart(), True)],
    "cross": [(box(-0.28, -0.95, 0.28, 0.95), True), (box(-0.95, -0.28, 0.95, 0.28), True)],
    "moon": [(around(48, 0.95), True), (around(48, 0.8, x=0.5), False)],
    "tree": [
        ([(0, -1), (0.6, -0.25), (-0.6, -0.25)], True),
        ([(0, -0.6), (0.8, 0.45), (-0.8, 0.45)], True),
        (box(-0.15, 0.45, 0.15, 1), True),
    ],
    "house": [
        ([(0, -1), (1, -0.15), (-1, -0.15)], True),
        (box(-0.75, -0.15, 0.75, 0.9), True),
        (box(-0.2, 0.3, 0.2, 0.9), False),
    ],
    "arrow": [([(1, 0), (0.1, -0.8), (0.1, 0.8)], True), (box(-1, -0.28, 0.1, 0.28), True)],
}
