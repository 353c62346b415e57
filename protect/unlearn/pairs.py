"""Pairs to forget and to keep, from shards or folders of photos: views at the model's size, captions, classes."""

import json
import tempfile
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from protect.data.caption_lists import read_list
from protect.data.captions import captions_of
from protect.data.images import ImageError, decode, to_view
from protect.data.photo_files import Unsuited
from protect.data.photo_folder import Entry, walk
from protect.data.photo_samples import read_photo
from protect.data.shards import IMAGE_EXTENSIONS, SHARD_NAME, find_shards, image_member, read_samples, split_name
from protect.samples import Member, Sample
from protect.settings.publish import PhotoSettings, PublishSettings
from protect.types import Images

READING = PublishSettings(caption_keys=())  # captions are the lines of the .txt: what a trainer reads
FEW = 4  # captions that come this often on average are names of classes
VISU = ("safe", "nsfw")
PROMPTS = 64  # captions that a class is made of, at most


@dataclass(frozen=True)
class Pairs:
    """Pairs by number. kinds: the class of each, by name: the text of its `.cls`, else its first caption."""

    keys: tuple[str, ...]
    pixels: np.ndarray
    captions: tuple[tuple[str, ...], ...]
    kinds: tuple[str, ...]
    skipped: int = 0

    def __len__(self) -> int:
        return len(self.keys)

    def images(self, rows: Tensor, device: torch.device) -> Images:
        """Images of these pairs, float in [0, 1]."""
        return torch.from_numpy(self.pixels[rows.numpy()]).to(device).float() / 255

    def select(self, rows: Sequence[int]) -> "Pairs":
        """Some of the pairs, in the order of `rows`."""
        keys, kinds = (tuple(column[i] for i in rows) for column in (self.keys, self.kinds))
        captions = tuple(self.captions[i] for i in rows)
        return Pairs(keys, self.pixels[list(rows)], captions, kinds, self.skipped)


def joined(parts: Sequence[Pairs]) -> Pairs:
    """All pairs of several sets, one after the other."""
    if len(parts) == 1:
        return parts[0]
    keys, captions, kinds = (
        tuple(chain.from_iterable(columns))
        for columns in zip(*((p.keys, p.captions, p.kinds) for p in parts), strict=True)
    )
    pixels = np.concatenate([part.pixels for part in parts])
    return Pairs(keys, pixels, captions, kinds, sum(part.skipped for part in parts))


@dataclass(frozen=True)
class Classes:
    """What a zero-shot classifier chooses from: names, and the captions that describe each."""

    names: tuple[str, ...]
    prompts: tuple[tuple[str, ...], ...]

    def hold(self, *parts: Pairs) -> bool:
        """Whether every one of these pairs is of a known class."""
        return {kind for pairs in parts for kind in pairs.kinds} <= set(self.names)

    def numbers(self, pairs: Pairs) -> Tensor:
        """The class number of each pair."""
        number = {name: i for i, name in enumerate(self.names)}
        return torch.tensor([number[kind] for kind in pairs.kinds])


def classes_of(*parts: Pairs) -> Classes | None:
    """The classes of all these pairs together; None where nearly every pair has a caption of its own."""
    captions_of: dict[str, Counter[str]] = {}
    for pairs in parts:
        for kind, captions in zip(pairs.kinds, pairs.captions, strict=True):
            captions_of.setdefault(kind, Counter()).update(captions)
    if len(captions_of) < 2 or len(captions_of) * FEW > sum(map(len, parts)):
        return None
    names = tuple(sorted(captions_of))
    return Classes(names, tuple(tuple(text for text, _ in captions_of[name].most_common(PROMPTS)) for name in names))


def read_pairs(sources: Sequence[str], size: int, limit: int | None = None) -> Pairs:
    """The first `limit` pairs (None: all) of shards, or of folders of photos.

    A photo's captions are the lines of NAME.txt beside NAME.jpg; without that, where `protect photos` finds one: a
    captions.csv, another sidecar, the photo's metadata.

    Pixels live in an unnamed file, not in memory. Pairs without a readable picture or caption are skipped and
    counted. Raises ValueError when nothing is left, ShardError when the shards cannot be found.
    """
    keys: list[str] = []
    captions: list[tuple[str, ...]] = []
    kinds: list[str] = []
    skipped = 0
    with tempfile.TemporaryFile() as file:
        for sample in _samples(sources):
            pair = _pair(sample, size)
            if pair is None:
                skipped += 1
                continue
            view, lines, kind = pair
            file.write(view.tobytes())
            keys.append(sample.key)
            captions.append(lines)
            kinds.append(kind)
            if len(keys) == limit:
                break
        if not keys:
            raise ValueError(
                f"{' '.join(sources)}: expected pictures with captions, found none that can be read ({skipped} "
                "skipped); give shards (.tar), or a folder of photos with captions: a NAME.txt beside each, a "
                "captions.csv, or in the photos themselves"
            )
        file.flush()
        pixels = np.memmap(file, np.uint8, "r+", shape=(len(keys), 3, size, size))
    return Pairs(tuple(keys), pixels, tuple(captions), tuple(kinds), skipped)


def _samples(sources: Sequence[str]) -> Iterator[Sample]:
    for source in sources:
        folder = Path(source)
        if folder.is_dir() and not any(SHARD_NAME.fullmatch(path.name) for path in folder.iterdir()):
            yield from _photos(folder)
        else:
            for shard in find_shards([source]):
                yield from (sample for sample in read_samples(shard) if sample.key)


def _photos(folder: Path) -> Iterator[Sample]:
    """A photo and its sidecars as a sample each, in the order of their paths."""
    captions, listed = _table(folder), read_list(folder)
    for entry in sorted(walk(folder), key=lambda entry: entry.path):
        path = entry.path
        if path.suffix.lower().lstrip(".") in IMAGE_EXTENSIONS:
            files = (path, path.with_suffix(".txt"), path.with_suffix(".cls"))
            members = [Member(f"photo{file.suffix}", file.read_bytes()) for file in files if file.is_file()]
            key = str(Path(entry.name).with_suffix(""))
            text = captions.get(key) or ("" if files[1].is_file() else _caption(entry, listed))
            if text:
                members.append(Member("photo.txt", text.encode()))
            yield Sample(key, tuple(members))


def _caption(entry: Entry, listed: Mapping[str, str]) -> str:
    """The caption of a photo without a .txt: of a list, a sidecar of another kind, or the photo's own metadata."""
    try:
        found = read_photo(entry, listed, PhotoSettings()).caption
    except (ImageError, Unsuited, ImportError, OSError):  # it is skipped as unreadable a moment later
        return ""
    return "" if found.suggested else found.text


def _table(folder: Path) -> dict[str, str]:
    """Captions by file name where the folder is `safe` or `nsfw` of ViSU's layout.

    That is: a table beside the two folders (JSON or JSON lines, as published), in which the column of the
    folder's name holds the caption of picture `incremental_id`. Equal names then make twins.
    """
    tables = sorted(folder.parent.glob("*.json*")) if folder.name in VISU else []
    by_id: dict[str, str] = {}
    for path in tables:
        text = path.read_text(encoding="utf-8")
        try:
            rows = json.loads(text) if text.lstrip().startswith("[") else [json.loads(x) for x in text.splitlines()]
            by_id |= {str(row["incremental_id"]): row[folder.name] for row in rows}
        except (ValueError, KeyError, TypeError) as error:
            raise ValueError(
                f"{path}: expected ViSU's rows with incremental_id, safe and nsfw, found {error!r}; "
                "move other JSON away from there"
            ) from error
    return by_id


def _pair(sample: Sample, size: int) -> tuple[np.ndarray, tuple[str, ...], str] | None:
    """View, captions and class of a sample; None where one cannot be had."""
    member = image_member(sample)
    try:
        captions = captions_of(sample, READING.caption_keys)
        if member is None or not captions:
            return None
        view = to_view(decode(member.data, READING.max_pixels).color, size)
    except ValueError:  # what a trainer's loader drops too
        return None
    kind = next((m.data.decode(errors="replace") for m in sample.members if split_name(m.name)[1] == "cls"), "")
    return view, captions, kind.strip() or captions[0]
