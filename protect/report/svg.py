"""A line chart as inline SVG; its colours come from the page's style sheet, so it follows light and dark."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from html import escape
from math import ceil, log10

WIDTH, HEIGHT = 430, 300
LEFT, RIGHT, TOP, BOTTOM = 42, 170, 12, 44
LINE_HEIGHT = 16.0
LONGEST = 19  # letters of a label
MARKERS = ("circle", "square")


@dataclass(frozen=True)
class Line:
    """A named line; `kind` is its class in the style sheet, `band` lowest and highest value at each point."""

    name: str
    kind: str
    points: tuple[tuple[float, float], ...]
    band: tuple[tuple[float, float], ...] = ()
    marked: bool = False  # a dot on each point


@dataclass(frozen=True)
class Chart:
    """Lines over one pair of axes, each with its name at its right end; `text` is for those who cannot see it."""

    name: str
    text: str
    x_title: str
    y_title: str
    lines: tuple[Line, ...]
    x_ticks: tuple[float, ...]
    levels: tuple[tuple[str, float], ...] = field(default=())  # horizontal lines: name, value

    def draw(self) -> str:
        """One <svg> element."""
        identity = "".join(c if c.isalnum() else "-" for c in self.name)
        parts = [
            f'<svg class="chart" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" '
            f'aria-labelledby="{identity}-name {identity}-text">',
            f'<title id="{identity}-name">{escape(self.name)}</title>',
            f'<desc id="{identity}-text">{escape(self.text)}</desc>',
            *self._axes(),
            *(self._level(value) for _, value in self.levels),
            *(self._band(line) for line in self.lines if line.band),
            *(self._line(line) for line in self.lines),
            *self._labels(),
            "</svg>",
        ]
        return "\n".join(parts)

    @property
    def y_ticks(self) -> list[float]:
        values = [y for line in self.lines for _, y in line.points] + [y for _, y in self.levels]
        values += [y for line in self.lines for pair in line.band for y in pair]
        return ticks(min(0.0, *values), max(values))

    def x(self, value: float) -> float:
        low, high = self.x_ticks[0], self.x_ticks[-1]
        return LEFT + (value - low) / (high - low) * (WIDTH - LEFT - RIGHT)

    def y(self, value: float) -> float:
        low, high = self.y_ticks[0], self.y_ticks[-1]
        return HEIGHT - BOTTOM - (value - low) / (high - low) * (HEIGHT - TOP - BOTTOM)

    def _axes(self) -> list[str]:
        right, bottom = WIDTH - RIGHT, HEIGHT - BOTTOM
        parts = []
        for value in self.y_ticks:
            at = self.y(value)
            parts.append(f'<path class="rule" d="M{LEFT} {at:.1f}H{right}"/>')
            parts.append(f'<text class="tick" x="{LEFT - 7}" y="{at + 4:.1f}" text-anchor="end">{value:g}</text>')
        for value in self.x_ticks:
            at = self.x(value)
            parts.append(f'<text class="tick" x="{at:.1f}" y="{bottom + 17}" text-anchor="middle">{value:g}</text>')
        middle = (LEFT + right) / 2
        parts.append(f'<text class="axis" x="{middle}" y="{HEIGHT - 6}" text-anchor="middle">{self.x_title}</text>')
        middle = (TOP + bottom) / 2
        turned = f'transform="rotate(-90 11 {middle})"'
        parts.append(f'<text class="axis" x="11" y="{middle}" text-anchor="middle" {turned}>{self.y_title}</text>')
        return parts

    def _level(self, value: float) -> str:
        return f'<path class="level" d="M{LEFT} {self.y(value):.1f}H{WIDTH - RIGHT}"/>'

    def _line(self, line: Line) -> str:
        places = [(self.x(x), self.y(y)) for x, y in line.points]
        path = "L".join(f"{x:.1f} {y:.1f}" for x, y in places)
        drawn = f'<path class="line {line.kind}" d="M{path}"/>'
        return drawn + "".join(_marker(line.kind, *place) for place in places) if line.marked else drawn

    def _band(self, line: Line) -> str:
        xs = [self.x(x) for x, _ in line.points]
        upper = [(x, self.y(high)) for x, (_, high) in zip(xs, line.band, strict=True)]
        lower = [(x, self.y(low)) for x, (low, _) in zip(xs, line.band, strict=True)]
        path = "L".join(f"{x:.1f} {y:.1f}" for x, y in upper + lower[::-1])
        return f'<path class="band {line.kind}" d="M{path}Z"/>'

    def _labels(self) -> list[str]:
        ends = [(line.name, line.kind, self.x(line.points[-1][0]), self.y(line.points[-1][1])) for line in self.lines]
        ends += [(name, "level", float(WIDTH - RIGHT), self.y(value)) for name, value in self.levels]
        ends.sort(key=lambda end: end[3])
        heights = apart([end[3] for end in ends], LINE_HEIGHT, float(TOP + 4), float(HEIGHT - BOTTOM + 4))
        left = WIDTH - RIGHT + 14
        parts = []
        for (name, kind, x, y), height in zip(ends, heights, strict=True):
            leader = f"M{x + 2:.1f} {y:.1f}L{left - 3} {height:.1f}"
            parts.append(f'<path class="leader {kind}" d="{leader}"/>')
            parts.append(
                f'<text class="label {kind}" x="{left}" y="{height + 4:.1f}">{escape(_shortened(name))}</text>'
            )
        return parts


def _shortened(name: str) -> str:
    return name if len(name) <= LONGEST else f"{name[: LONGEST - 1]}…"


def _marker(kind: str, x: float, y: float) -> str:
    if kind.endswith("square"):
        return f'<rect class="dot {kind}" x="{x - 4:.1f}" y="{y - 4:.1f}" width="8" height="8"/>'
    return f'<circle class="dot {kind}" cx="{x:.1f}" cy="{y:.1f}" r="4.5"/>'


def ticks(low: float, high: float, most: int = 6) -> list[float]:
    """At most so many round numbers whose ends enclose low and high."""
    if high <= low:
        high = low + 1
    step = 10.0 ** ceil(log10((high - low) / (most - 1)))
    for finer in (0.2, 0.5, 1.0):
        first, last = low // (step * finer), -(-high // (step * finer))
        if last - first < most:
            return [round(i * step * finer, 10) for i in range(int(first), int(last) + 1)]
    return [step * (low // step), step * -(-high // step)]


def apart(wanted: Sequence[float], distance: float, low: float, high: float) -> list[float]:
    """Ascending places near the wanted ascending ones, the distance apart, inside low..high where that fits."""
    places = list[float]()
    for place in wanted:
        places.append(max(place, low if not places else places[-1] + distance))
    limit = high
    for i in reversed(range(len(places))):
        places[i] = min(places[i], limit)
        limit = places[i] - distance
    return places
