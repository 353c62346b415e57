"""Which text files belong to which photos of a folder, by their names alone where that is enough.

Conventions: NAME.jpg.txt and NAME.txt (Lightroom, darktable, training tools), and those of Google Takeout, which
shortens a name and its ending to 46 characters and moves the number of a copy behind the ending.
"""

import json
import os
import re
from bisect import bisect_left
from collections.abc import Callable, Iterator, Mapping, Sequence

ENDING = ".supplemental-metadata"  # what Takeout puts between a photo's name and .json, whole or cut
SHORTEST = 43  # characters of a name that Takeout has cut: 46, less what it needs for a number
NUMBERED = re.compile(r"(.+)\((\d+)\)")
EDITED = re.compile(  # Takeout's second version of a photo, in the languages it writes
    r"-(edited|bearbeitet|modifi\u00e9|editad[oa]|modificato|bewerkt|edytowane|redigerad|muokattu|d\u00fczenlendi"
    r"|\u7de8\u96c6\u6e08\u307f|\u5df2\u4fee\u6539|\u0438\u0437\u043c\u0435\u043d\u0435\u043d\u043e)(?=(\(\d+\))?$)"
)

Owners = dict[str, list[str]]


def owners_of(photos: Sequence[str], texts: Sequence[str], title_of: Callable[[str], str]) -> Owners:
    """The photos that each text file speaks of; the first one is its owner, the others only read it.

    `title_of` opens a JSON file of Takeout and returns the photo's full name in it: it is called where the file's
    own name fits several photos.
    """
    whole, stems = set(photos), _by_stem(photos)
    folded = {name.casefold(): name for name in reversed(photos)}
    folded_stems = {stem.casefold(): names for stem, names in reversed(stems.items())}
    takeout = Takeout(photos) if any(text.lower().endswith(".json") for text in texts) else None
    owners: Owners = {}
    for text in texts:
        stem = text.rpartition(".")[0]
        found = [stem] if stem in whole else stems.get(stem, [])
        if not found and takeout and text.lower().endswith(".json"):
            found = takeout.photos_of(stem)
            if len(found) > 1:
                title = title_of(text)
                found = [photo for photo in found if photo == title] or found[:1]
        if not found:
            name = folded.get(stem.casefold())
            found = [name] if name else folded_stems.get(stem.casefold(), [])
        if found:
            owners[text] = list(found)
    _lend_to_edited(photos, stems, owners)
    return owners


def _by_stem(photos: Sequence[str]) -> dict[str, list[str]]:
    stems: dict[str, list[str]] = {}
    for name in photos:
        stems.setdefault(os.path.splitext(name)[0], []).append(name)
    return stems


class Takeout:
    """The photos of a folder by the names from which Takeout makes those of their JSON files."""

    def __init__(self, photos: Sequence[str]) -> None:
        self.photos: dict[tuple[str, str], list[str]] = {}
        for photo in photos:
            stem, ending = os.path.splitext(photo)
            for form in dict.fromkeys((stem, EDITED.sub("", stem))):
                for name, number in _forms(form):
                    self.photos.setdefault((name + ending, number), []).append(photo)
        self.names = sorted(self.photos)

    def photos_of(self, stem: str) -> list[str]:
        """The photos whose JSON file may be called so; `stem` is its name without .json."""
        found = (photo for form in _forms(stem) for name in self._named(*form) for photo in self.photos[name])
        return list(dict.fromkeys(found))

    def _named(self, stem: str, number: str) -> Iterator[tuple[str, str]]:
        for cut in range(len(ENDING) + 1):
            name = stem[: len(stem) - cut]
            if stem[len(name) :] == ENDING[:cut] and (name, number) in self.photos:
                yield name, number
        if _length(stem) + (len(number) + 2 if number else 0) < SHORTEST:
            return
        for name, copy in self.names[bisect_left(self.names, (stem, "")) :]:
            if not name.startswith(stem):
                return
            if copy == number and name != stem:
                yield name, copy


def _length(text: str) -> int:
    """In bytes: Takeout counts characters, others who unpack it count bytes."""
    return len(text.encode("utf-8", "surrogateescape"))


def _forms(stem: str) -> Iterator[tuple[str, str]]:
    """A name as it is, and without the number of a copy at its end, with that number."""
    yield stem, ""
    if match := NUMBERED.fullmatch(stem):
        yield match[1], match[2]


def _lend_to_edited(photos: Sequence[str], stems: Mapping[str, Sequence[str]], owners: Owners) -> None:
    """An edited version without a text of its own reads that of the photo it was made from."""
    served = {name for names in owners.values() for name in names}
    texts_of: dict[str, list[str]] = {}
    for text, names in owners.items():
        texts_of.setdefault(names[0], []).append(text)
    for photo in photos:
        stem = os.path.splitext(photo)[0]
        if photo in served or not EDITED.search(stem):
            continue
        for original in stems.get(EDITED.sub("", stem), ()):
            for text in texts_of.get(original, ()):
                owners[text].append(photo)


def takeout_title(data: bytes) -> str:
    """The photo's name in a JSON file of Takeout, "" where there is none."""
    try:
        return str(json.loads(data).get("title", ""))
    except (ValueError, AttributeError, RecursionError):
        return ""
