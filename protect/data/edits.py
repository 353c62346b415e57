"""What happens to the values of one sample: its captions change, whatever repeats them too, links are emptied."""

import re
from collections import Counter
from collections.abc import Callable, Collection, Iterable
from typing import Any

from protect.data.extras import ENCODED, what_is, what_is_value, written_out
from protect.data.json_text import JsonPath, edit_json, holds_json
from protect.data.links import is_link, is_position, leads_back, without_links
from protect.data.text import LINE, WORD, bare, is_text, read_text
from protect.settings.publish import PublishSettings

Change = Callable[[str], str]
LONG = 16  # characters of a caption that is also looked for within longer texts
LONG_DENSE = 6  # the same for scripts that need few characters
NAMED = (  # a name and its value in a text: a line of YAML, an element of XML
    re.compile(
        r"(?m)^([^\S\r\n]*(?:[-*][^\S\r\n]+)?[\"']?([A-Za-z][\w.-]{0,40})[\"']?[^\S\r\n]*[:=][^\S\r\n]*)(?!//)(\S[^\r\n]*)"
    ),
    re.compile(r"(<([A-Za-z][\w:.-]{0,40})(?:\s[^<>]*)?>)([^<>]+)(?=</)"),
)
CELL = re.compile(r"\"[^\"]*\"|[^,;|\t\"<>:=]+")  # of a table, or what stands between the signs of YAML and XML
DENSE = re.compile("[\u2e80-\u9fff\uac00-\ud7af\uf900-\ufaff]")


class Edits:
    """The edits of one sample, or of one row of a table.

    captions: the clean ones; own: names that the sample goes by. What is done is counted in `counts` (captions,
    copies, links, embedded); what it would take a decision to do in `links` and `others`, by the field's name.
    """

    def __init__(
        self,
        captions: Iterable[str],
        change: Change,
        settings: PublishSettings,
        own: Collection[str],
        is_caption: Callable[[JsonPath], bool] | None = None,
    ) -> None:
        self.change, self.settings, self.own = change, settings, own
        self.is_caption = is_caption or (lambda path: is_caption_field(path, settings.caption_keys))
        self.counts: Counter[str] = Counter()
        self.links: list[str] = []
        self.others: list[str] = []
        self._clean = {bare(caption): caption for caption in captions}
        self._long = {plain: caption for plain, caption in self._clean.items() if _is_long(plain)}
        self._shortest = min(map(len, self._long), default=0)

    def lines(self, text: str) -> str:
        """A text whose lines are captions."""
        self.counts["captions"] += 1
        return LINE.sub(lambda line: self.change(line[0]), text)

    def value(self, path: JsonPath, old: Any) -> Any:
        """What becomes of a value with these names around it; None where it is emptied."""
        if isinstance(old, bytes):
            return self._bytes(path, old)
        if isinstance(old, str) and self.is_caption(path):
            return self.lines(old)
        if isinstance(old, str) and holds_json(old) is not None:
            return self.json(old, path)
        if not self.settings.keep_gps and is_position(path, old):
            self.counts["places"] += 1
            return None
        if leads_back(path, old, self.own):
            return self._link(path, old)
        if what := what_is_value(old):
            return self.embedded(path, old, what)
        if isinstance(old, str) and ("\n" in old or len(old) > ENCODED):
            return self.text(path, old)
        return self.sweep(old) if isinstance(old, str) else old

    def json(self, text: str, outer: JsonPath = ()) -> str:
        """JSON with each of its values, and each name that repeats a caption, as `value` has it."""
        arrays = frozenset(_arrays(holds_json(text), outer))

        def value(path: JsonPath, old: Any) -> Any:
            path = outer + path
            array = next((path[:n] for n in range(1, len(path) + 1) if path[:n] in arrays), None)
            if array is not None and isinstance(old, int | float):
                return self.embedded(array, old, "a list of many numbers")
            return self.value(path, old)

        return edit_json(text, value, self.name)

    def name(self, name: str) -> str:
        """The name of a field: one that repeats a caption is changed, one that is a link is emptied."""
        return self._link((name,), name) or "" if leads_back((), name, self.own) else self.sweep(name)

    def text(self, names: JsonPath, text: str) -> str:
        """A further text: of JSON, whole or line by line, its values; of any other its lines and named values."""
        if holds_json(text) is not None:
            return self.json(text, names)
        if not self.settings.keep_gps and is_position(names, text):
            self.counts["places"] += 1
            return ""
        if any(holds_json(line) is not None for line in LINE.findall(text)):
            return LINE.sub(lambda line: self._line_of(names, line[0]), text)
        return self._prose(names, text)

    def _line_of(self, names: JsonPath, line: str) -> str:
        return self.json(line, names) if holds_json(line) is not None else self._prose(names, line)

    def _prose(self, names: JsonPath, text: str) -> str:
        for named in NAMED:
            text = named.sub(self._named, text)
        text = written_out(text, lambda part, what: self.embedded(names, part, what) or "")
        if leads_back(names, text, self.own):
            return self._link(names, text) or ""
        return self.sweep(text)

    def _named(self, found: re.Match[str]) -> str:
        """A name with its value; the name alone where the value is emptied."""
        start, name, value = found.groups()
        if not self.settings.keep_gps and is_position((name,), value):
            self.counts["places"] += 1
            return start
        if is_link(name) and leads_back((name,), value, self.own):
            return start + (self._link((name,), value) or "")
        return found[0]

    def sweep(self, text: str) -> str:
        """A text in which only what repeats a clean caption is changed."""
        return LINE.sub(lambda line: self._line(line[0]), text) if self._clean else text

    def _line(self, line: str) -> str:
        plain = bare(line)
        if plain in self._clean:
            self.counts["copies"] += 1
            return self.change(line)
        if self._long and len(plain) >= self._shortest:
            for inner, caption in self._long.items():
                if inner in plain:
                    self.counts["copies"] += 1
                    line = self._replace(line, inner, caption)
            return line
        return CELL.sub(self._cell, line)

    def _cell(self, cell: re.Match[str]) -> str:
        text = cell[0].strip(" \"'")
        if not text or bare(text) not in self._clean:
            return cell[0]
        self.counts["copies"] += 1
        return cell[0].replace(text, self.change(text))

    def _replace(self, line: str, inner: str, caption: str) -> str:
        pattern = r"\W+".join(map(re.escape, WORD.findall(caption)))
        changed, count = re.subn(pattern, lambda found: self.change(found[0]), line, flags=re.IGNORECASE)
        return changed if count else self.change(caption)  # written with escapes: the whole line makes way

    def _bytes(self, path: JsonPath, old: bytes) -> Any:
        if what := what_is(old):
            return self.embedded(path, old, what)
        if not is_text(old):
            return old
        found = read_text(old)
        new = self.value(path, found.text)
        return old if new == found.text else None if new is None else found.encode(new)

    def _link(self, path: JsonPath, old: Any) -> Any:
        self.links.append(_name(path) or str(old)[:40])
        if self.settings.urls != "strip":
            return self.sweep(old) if isinstance(old, str) else old
        self.counts["links"] += 1
        left = without_links(old) if isinstance(old, str) and leads_back((), old, self.own) else ""
        return self.sweep(left) if left else None

    def embedded(self, path: JsonPath, old: Any, what: str) -> Any:
        """What becomes of a value that may hold the picture."""
        self.others.append(f"{_name(path)!r} ({what})")
        if self.settings.others != "drop":
            return old
        self.counts["embedded"] += 1
        return None


def is_caption_field(path: JsonPath, keys: Collection[str]) -> bool:
    """Whether a value stands in a field of captions: itself, in a list there, or as a field of what is there."""
    if not path or (path[0] or "").lower() not in {key.lower() for key in keys}:
        return False
    inner = [name for name in path[1:] if name]
    return not inner or (len(inner) == 1 and path[-1] is not None and not is_link(inner[0]))


def _name(path: JsonPath) -> str:
    return next((name for name in reversed(path) if name), "")


def _is_long(plain: str) -> bool:
    return len(plain) >= (LONG_DENSE if DENSE.search(plain) else LONG)


def _arrays(value: Any, path: JsonPath) -> Iterable[JsonPath]:
    """Where lists of many numbers stand."""
    if isinstance(value, list) and what_is_value(value):
        yield (*path, None)
    elif isinstance(value, dict | list):
        items = value.items() if isinstance(value, dict) else ((None, inner) for inner in value)
        for name, inner in items:
            yield from _arrays(inner, (*path, name))
