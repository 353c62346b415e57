"""What its owner has of a protected photo beside the file: the run's records, the key, perhaps the original."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from PIL import Image

from protect.data.caption_lists import read_list
from protect.data.photo_captions import find_caption, sidecar_texts
from protect.data.photo_files import Still, read_still
from protect.data.photo_folder import Entry, walk
from protect.data.prepared import Prepared
from protect.data.views import sides
from protect.jobs.photos.key import KEY, key_protector, own_key, own_words
from protect.jobs.photos.records import PhotoRecord, read_records, records_path
from protect.methods.parts.keywords import Vocabulary
from protect.methods.protector import Protector
from protect.publish.upsample import upsample
from protect.settings.publish import CAPTION_PLACES

Planes = tuple[Image.Image, ...]  # one for each channel, mode F

ORIGINAL, FROM_KEY, FROM_METHOD = "the original", "the key", "the default method, without the key"


@dataclass(frozen=True)
class Run:
    """The OUT of `protect photos` that a protected file lies in (None: in none), and the key if it was given."""

    out: Path | None
    seed: int | None = None

    @classmethod
    def of(cls, mine: Path, seed: int | None = None) -> "Run":
        """Looks for the run from the file's own folder upwards."""
        folders = [mine.resolve(), *mine.resolve().parents]
        return cls(next((folder for folder in folders if records_path(folder).exists()), None), seed)

    @cached_property
    def records(self) -> dict[str, PhotoRecord]:
        return read_records(self.out) if self.out else {}

    def record(self, mine: Path) -> PhotoRecord | None:
        """What the run noted of a file, if it is one of its own."""
        if self.out is None:
            return None
        return self.records.get(mine.resolve().relative_to(self.out).as_posix())

    @property
    def knows_key(self) -> bool:
        return self.seed is not None or (self.out is not None and (records_path(self.out).parent / KEY).exists())

    @cached_property
    def protector(self) -> Protector:
        """Makes noise as the run did; where its key is not known with another, which changes less than the place."""
        private = records_path(self.out).parent if self.out else None
        key = 0 if self.seed is None else self.seed
        if self.seed is None and private is not None and self.knows_key:
            key = own_key(private)
        nothing = Vocabulary(0, {})
        return key_protector(key, None, own_words(private, lambda: nothing, dry=True) if private else nothing)


def read_mine(path: Path, max_pixels: int) -> tuple[Still, str]:
    """A photo, and the text that goes with it by its own metadata, its sidecars and the lists beside it."""
    still = read_still(path, max_pixels)
    entry = next((one for one in walk(path.parent) if one.name == path.name), Entry(path.name, path, "photo"))
    found = find_caption(entry, still.metadata, listed_beside(path), without_folder(), sidecar_texts(entry))
    return still, found.text


def listed_beside(path: Path) -> Mapping[str, str]:
    """The captions of the lists in the folder of a photo, by name of file."""
    return read_list(path.parent)


def without_folder() -> tuple[str, ...]:
    """Every place of a caption but the album's name, which is none."""
    return tuple(place for place in CAPTION_PLACES if place != "folder")


def noise_of_original(mine: Image.Image, original: Image.Image) -> Planes:
    """What was added to the original, by channel, at its own size."""
    if original.size != mine.size:
        original = original.resize(mine.size, Image.Resampling.BICUBIC)
    pairs = zip(mine.split(), original.split(), strict=True)
    return tuple(_minus(*pair) for pair in pairs)


def _minus(one: Image.Image, two: Image.Image) -> Image.Image:
    from PIL import ImageMath

    return ImageMath.lambda_eval(
        lambda values: values["one"] - values["two"], one=one.convert("F"), two=two.convert("F")
    )


def noise_of_run(run: Run, still: Still, caption: str, size: int) -> Planes:
    """Noise as the run would make it for the protected photo: as strong where that is, though not the same wave."""
    down, across = sides(still.image.height, still.image.width, min(size, *still.image.size))
    small = still.image.convert("RGB").resize((across.frame, down.frame), Image.Resampling.BICUBIC)
    seen = Prepared("check", (caption,), _Small(still.kind, small, still.lossless))
    [perturbation] = run.protector.perturb([run.protector.look(seen)])
    noise, _, middle = perturbation()
    change = upsample(noise, small.height, small.width, 127, middle)
    return tuple(Image.fromarray(change[..., channel]) for channel in range(change.shape[2]))


@dataclass(frozen=True)
class _Small:
    """A shrunk picture where a decoded file is expected."""

    kind: str
    image: Image.Image
    lossless: bool
