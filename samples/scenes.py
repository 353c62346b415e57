"""Made-up quilts: four patches, each a shape on a patterned ground, and what to say about them.

Colours, sizes, turns and patterns vary and are not said: to match a picture with its caption, a network must tell
the shapes apart and know which corner each is in, and that takes it a while.
"""

import random
from dataclasses import dataclass
from math import cos, sin

import numpy as np
from PIL import Image, ImageDraw
from shapes import SHAPES

COLORS = {
    "red": (210, 35, 40),
    "orange": (245, 140, 25),
    "yellow": (245, 220, 50),
    "green": (45, 150, 60),
    "blue": (35, 80, 205),
    "purple": (125, 45, 160),
    "pink": (250, 150, 195),
    "brown": (120, 75, 40),
    "white": (245, 245, 240),
    "black": (25, 25, 30),
}
PATTERNS = ("plain", "striped", "checkered", "dotted")
CORNERS = {"top left": (0, 0), "top right": (1, 0), "bottom left": (0, 1), "bottom right": (1, 1)}
TEMPLATES = (
    "{a_shape} in the {corner}",
    "in the {corner} {a_shape}",
    "{corner}: {a_shape}",
)
DRAWN = 4  # patches are drawn this much larger, then reduced, which smooths their edges
NOISE = 5.0  # standard deviation of the grain, in 255ths
SATURATION = 0.35  # of the colours as named: with it pictures are about as colourful as photos are


@dataclass(frozen=True)
class Patch:
    """A quarter of the picture; size is the shape's half width as a share of the patch, turn in radians."""

    corner: str
    shape: str
    color: str
    pattern: str
    ground: str
    size: float
    turn: float

    @property
    def a_shape(self) -> str:
        return f"{'an' if self.shape[0] in 'aeiou' else 'a'} {self.shape}"


@dataclass(frozen=True)
class Scene:
    """What a picture holds: four patches, one a corner."""

    patches: tuple[Patch, ...]

    def captions(self, rng: random.Random, count: int) -> list[str]:
        """`count` different phrasings, each naming the corners in an order of its own."""
        return [
            ", ".join(
                template.format(a_shape=patch.a_shape, corner=patch.corner) for patch in rng.sample(self.patches, 4)
            )
            for template in rng.sample(TEMPLATES, count)
        ]


def make_scene(rng: random.Random) -> Scene:
    """A scene whose shapes differ, each in another colour than its ground."""
    shapes = rng.sample(sorted(SHAPES), len(CORNERS))
    patches = []
    for corner, shape in zip(CORNERS, shapes, strict=True):
        color, ground = rng.sample(sorted(COLORS), 2)
        size, turn = rng.uniform(0.55, 0.85), rng.uniform(-0.3, 0.3)
        patches.append(Patch(corner, shape, color, rng.choice(PATTERNS), ground, size, turn))
    return Scene(tuple(patches))


def shade(color: str, rng: random.Random, towards: int = 128, by: float = 0.0) -> tuple[int, int, int]:
    """A colour, a little off its pure value, mixed `by` with a grey."""
    red, green, blue = ((1 - by) * value + by * towards + rng.uniform(-14, 14) for value in COLORS[color])
    return round(min(max(red, 0), 255)), round(min(max(green, 0), 255)), round(min(max(blue, 0), 255))


def draw_ground(patch: Patch, side: int, rng: random.Random) -> Image.Image:
    base, mark = shade(patch.ground, rng, by=0.15), shade(patch.ground, rng, rng.choice((60, 200)), by=0.4)
    picture = Image.new("RGB", (side, side), base)
    pen, step = ImageDraw.Draw(picture), side // rng.choice((4, 5, 6))
    for row in range(0, side, step):
        if patch.pattern == "striped" and row // step % 2:
            pen.rectangle((0, row, side, row + step - 1), mark)
        for column in range(0, side, step):
            if patch.pattern == "checkered" and (row + column) // step % 2:
                pen.rectangle((column, row, column + step - 1, row + step - 1), mark)
            if patch.pattern == "dotted":
                pen.ellipse((column + step // 4, row + step // 4, column + step * 3 // 4, row + step * 3 // 4), mark)
    return picture


def draw_patch(patch: Patch, side: int, rng: random.Random) -> Image.Image:
    """A patch as a square RGB picture."""
    picture, radius = draw_ground(patch, side, rng), patch.size * side / 2
    mask = Image.new("L", picture.size)
    for outline, filled in SHAPES[patch.shape]:
        turned = [
            (x * cos(patch.turn) - y * sin(patch.turn), x * sin(patch.turn) + y * cos(patch.turn)) for x, y in outline
        ]
        spots = [(side / 2 + x * radius, side / 2 + y * radius) for x, y in turned]
        ImageDraw.Draw(mask).polygon(spots, fill=255 if filled else 0)
    picture.paste(Image.new("RGB", picture.size, shade(patch.color, rng)), mask=mask)
    return picture


def draw(scene: Scene, size: int, rng: random.Random) -> Image.Image:
    """The scene as a square RGB picture of `size` pixels, its colours faded, with a little grain."""
    half = size * DRAWN // 2
    picture = Image.new("RGB", (2 * half, 2 * half))
    for patch in scene.patches:
        across, down = CORNERS[patch.corner]
        picture.paste(draw_patch(patch, half, rng), (across * half, down * half))
    small = np.asarray(picture.resize((size, size), Image.Resampling.BOX), dtype=np.float32)
    gray = small.mean(axis=2, keepdims=True)
    small = gray + SATURATION * (small - gray)
    grain = np.random.default_rng(rng.getrandbits(64)).normal(0, NOISE, small.shape)
    return Image.fromarray(np.clip(np.rint(small + grain), 0, 255).astype(np.uint8))
