"""What WordNet says about a word: reads the plain dict files, so that no WordNet library is needed."""

import re
from functools import cached_property
from pathlib import Path

PARTS = ("noun", "verb", "adj")
# Lexicographer file numbers, as in lexnames(5WN).
# Unwanted in any common sense of a noun: animal, body, group, person.
UNWANTED_KINDS = {5, 8, 14, 18}
# Wanted as its first sense: act, artifact, attribute, cognition, communication, event, food, location,
# object, phenomenon, plant, process, quantity, relation, shape, substance.
WANTED_KINDS = {4, 6, 7, 9, 10, 11, 13, 15, 17, 19, 20, 22, 23, 24, 25, 27}
UNWANTED_ROOTS = (
    "weapon", "fight", "war", "crime", "punishment", "injury", "death", "drug", "alcohol", "illness",
    "body_part", "bodily_process", "excretion", "sexual_activity", "underwear", "religion", "belief",
    "vehicle", "number", "chromatic_color", "meat", "money", "currency",
)  # fmt: skip
UNWANTED_DOMAINS = (
    "military", "religion", "christianity", "roman_catholic", "judaism", "islam", "crime",
    "disparagement", "obscenity", "ethnic_slur", "medicine", "pathology", "anatomy",
)  # fmt: skip
ENDINGS = {"ies": ("y",), "es": ("",), "s": ("",), "ied": ("y",), "ed": ("", "e"), "ing": ("", "e")}
SENSES = 2  # senses are ordered by frequency: the first ones are those a reader thinks of


class WordNet:
    """Base forms and unwanted topics of English words, from WordNet's index.* and data.* files."""

    def __init__(self, folder: Path):
        self.index = {part: self._index(folder / f"index.{part}") for part in PARTS}
        self.data = {part: self._data(folder / f"data.{part}") for part in PARTS}

    @staticmethod
    def _lines(path: Path) -> list[str]:
        return [line for line in path.read_text("latin-1").splitlines() if not line.startswith("  ")]

    def _index(self, path: Path) -> dict[str, list[str]]:
        """Offsets of each word's synsets, most frequent sense first."""
        entries = (line.split() for line in self._lines(path))
        return {entry[0]: re.findall(r"\b\d{8}\b", " ".join(entry)) for entry in entries}

    def _data(self, path: Path) -> dict[str, str]:
        return {line[:8]: line.split(" | ")[0] for line in self._lines(path)}

    def is_base_form(self, word: str) -> bool:
        """Whether a word is one of its own: not the plural, past or -ing form of another."""
        stems = [word[: -len(end)] + new for end in ENDINGS if word.endswith(end) for new in ENDINGS[end]]
        stems += [stem[:-1] for stem in stems if stem[-2:-1] == stem[-1:]]  # planned: plann, plan
        known = [any(form in self.index[part] for part in PARTS) for form in (word, *stems)]
        return known[0] and not any(known[1:])

    def _kind(self, noun_offset: str) -> int:
        return int(self.data["noun"][noun_offset][9:11])

    def is_noun_or_adjective(self, word: str) -> bool:
        """Whether a word is first of all a noun of a wanted kind, or no noun but an adjective."""
        nouns = self.index["noun"].get(word)
        return self._kind(nouns[0]) in WANTED_KINDS if nouns else word in self.index["adj"]

    def _synsets(self, names: tuple[str, ...]) -> set[str]:
        return {offset for name in names for offset in self.index["noun"].get(name, [])[:SENSES]}

    @cached_property
    def roots(self) -> set[str]:
        return self._synsets(UNWANTED_ROOTS)

    @cached_property
    def domains(self) -> set[str]:
        return self._synsets(UNWANTED_DOMAINS)

    def topics(self, part: str, offset: str) -> set[str]:
        """The domains and usages WordNet files a synset under."""
        return set(re.findall(r" ;[cu] (\d{8}) n", self.data[part][offset]))

    def ancestors(self, part: str, offset: str) -> set[str]:
        """A synset and all it is a kind of."""
        found: set[str] = set()
        todo = [offset]
        while todo:
            here = todo.pop()
            if here not in found:
                found.add(here)
                todo += re.findall(r" @i? (\d{8}) ", self.data[part][here])
        return found

    def is_unwanted(self, word: str) -> bool:
        """Whether a common sense of the word is a body, person, animal, group, weapon, drug, illness ..."""
        senses = [(part, offset) for part in PARTS for offset in self.index[part].get(word, [])[:SENSES]]
        nouns = [offset for part, offset in senses if part == "noun"]
        return (
            any(self._kind(offset) in UNWANTED_KINDS for offset in nouns)
            or any(self.ancestors("noun", offset) & self.roots for offset in nouns)
            or any(self.topics(part, offset) & self.domains for part, offset in senses)
        )
