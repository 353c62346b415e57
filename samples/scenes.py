"""Made-up scenes: two or three coloured shapes on a patterned background, and what to say about them."""

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
SIZES = {"small": 0.13, "large": 0.23}  # half width, as a share of the picture
PATTERNS = ("plain", "gradient", "striped", "checkered", "dotted")
RELATIONS = {"above": (0, -1), "below": (0, 1), "to the left of": (-1, 0), "to the right of": (1, 0)}
OPPOSITE = {
    "above": "below",
    "below": "above",
    "to the left of": "to the right of",
    "to the right of": "to the left of",
}
TEMPLATES = (
    "{first} {relation} {second}{third} on {background}",
    "{second} {opposite} {first}{third} on {background}",
    "on {background}, {first} is {relation} {second}{third}",
    "{background} behind {second}, with {first} {relation} it{third}",
    "a picture of {first} {relation} {second}{third}, in front of {background}",
)
DRAWN = 4  # shapes are drawn this much larger, then reduced, which smooths their edges
NOISE = 5.0  # standard deviation of the grain, in 255ths


@dataclass(frozen=True)
class Thing:
    """One shape of a scene: what it is called and where its middle is (0 to 1 across, 0 to 1 down)."""

    shape: str
    color: str
    size: str
    x: float
    y: float
    turn: float

    def __str__(self) -> str:
        return f"a {self.size} {self.color} {self.shape}"


@dataclass(frozen=True)
class Scene:
    """What a picture holds; `relation` says where the first thing is, seen from the second."""

    things: tuple[Thing, ...]
    relation: str
    pattern: str
    color: str

    @property
    def background(self) -> str:
        return f"a {self.pattern} {self.color} background"

    def captions(self, rng: random.Random, count: int) -> list[str]:
        """`count` different phrasings of the scene."""
        first, second, *third = map(str, self.things)
        parts = {"first": first, "second": second, "third": f" and {third[0]} beside them" if third else ""}
        parts |= {
            "relation": self.relation,
            "opposite": OPPOSITE[self.relation],
            "background": self.background,
        }
        return [template.format(**parts) for template in rng.sample(TEMPLATES, count)]


def make_scene(rng: random.Random) -> Scene:
    """A scene whose things differ in shape and colour, and in colour from the background."""
    count = rng.choice((2, 2, 3))
    shapes, colors = rng.sample(sorted(SHAPES), count), rng.sample(sorted(COLORS), count + 1)
    relation = rng.choice(sorted(RELATIONS))
    across, down = RELATIONS[relation]
    middles = [(0.5 + across * 0.24, 0.5 + down * 0.24), (0.5 - across * 0.24, 0.5 - down * 0.24)]
    side = rng.choice((-1, 1))  # a third thing stands off the line of the other two
    middles.append((0.5 + side * down * 0.33, 0.5 + side * across * 0.33))
    sizes = [rng.choice(sorted(SIZES)), rng.choice(sorted(SIZES)), "small"]

    def jitter() -> float:
        return rng.uniform(-0.04, 0.04)

    things = [
        Thing(shape, color, size, x + jitter(), y + jitter(), rng.uniform(-0.25, 0.25))
        for shape, color, size, (x, y) in zip(shapes, colors, sizes, middles, strict=False)
    ]
    return Scene(tuple(things), relation, rng.choice(PATTERNS), colors[-1])


def shade(color: str, rng: random.Random, towards: int = 128, by: float = 0.0) -> tuple[int, int, int]:
    """A colour, a little off its pure value, mixed `by` with a grey."""
    red, green, blue = ((1 - by) * value + by * towards + rng.uniform(-14, 14) for value in COLORS[color])
    return round(min(max(red, 0), 255)), round(min(max(green, 0), 255)), round(min(max(blue, 0), 255))


def draw_background(scene: Scene, side: int, rng: random.Random) -> Image.Image:
    base, mark = shade(scene.color, rng, by=0.15), shade(scene.color, rng, rng.choice((60, 200)), by=0.5)
    picture = Image.new("RGB", (side, side), base)
    pen, step = ImageDraw.Draw(picture), side // rng.choice((6, 7, 8))
    if scene.pattern == "gradient":
        ramp = Image.linear_gradient("L").rotate(rng.choice((0, 90, 180, 270))).resize((side, side))
        picture.paste(
            Image.new("RGB", (side, side), shade(scene.color, rng, rng.choice((0, 255)), by=0.5)), mask=ramp
        )
    for row in range(0, side, step):
        if scene.pattern == "striped" and row // step % 2:
            pen.rectangle((0, row, side, row + step - 1), mark)
        for column in range(0, side, step):
            if scene.pattern == "checkered" and (row + column) // step % 2:
                pen.rectangle((column, row, column + step - 1, row + step - 1), mark)
            if scene.pattern == "dotted":
                pen.ellipse((column + step // 4, row + step // 4, column + step * 3 // 4, row + step * 3 // 4), mark)
    return picture


def draw_thing(picture: Image.Image, thing: Thing, rng: random.Random) -> None:
    side, radius = picture.width, SIZES[thing.size] * picture.width
    mask = Image.new("L", picture.size)
    for outline, filled in SHAPES[thing.shape]:
        turned = [
            (x * cos(thing.turn) - y * sin(thing.turn), x * sin(thing.turn) + y * cos(thing.turn)) for x, y in outline
        ]
        spots = [(thing.x * side + x * radius, thing.y * side + y * radius) for x, y in turned]
        ImageDraw.Draw(mask).polygon(spots, fill=255 if filled else 0)
    picture.paste(Image.new("RGB", picture.size, shade(thing.color, rng)), mask=mask)


def draw(scene: Scene, size: int, rng: random.Random) -> Image.Image:
    """The scene as a square RGB picture of `size` pixels, with a little grain."""
    picture = draw_background(scene, size * DRAWN, rng)
    for thing in scene.things:
        draw_thing(picture, thing, rng)
    small = np.asarray(picture.resize((size, size), Image.Resampling.BOX), dtype=np.float32)
    grain = np.random.default_rng(rng.getrandbits(64)).normal(0, NOISE, small.shape)
    return Image.fromarray(np.clip(np.rint(small + grain), 0, 255).astype(np.uint8))
