"""A folder of photos as a method is fitted on it: every photo decoded as it will be protected, with its caption."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from protect.data.caption_lists import read_list
from protect.data.images import ImageError
from protect.data.photo_captions import Caption, find_caption, sidecar_texts
from protect.data.photo_files import Still, Unsuited, read_still
from protect.data.photo_folder import Entry, walk
from protect.data.prepared import Failure, Prepared
from protect.settings.publish import PhotoSettings


@dataclass(frozen=True, eq=False)
class ReadPhoto:
    """A decoded photo, its caption and where it was found, and the texts of its sidecars by name."""

    still: Still
    caption: Caption
    texts: Mapping[str, str]

    @property
    def prepared(self) -> Prepared[Still]:
        """What noise and words are made from."""
        return Prepared(None, (self.caption.text,), self.still)


def is_photo_folder(sources: Sequence[str]) -> bool:
    """Whether the sources are one folder, and it holds no shards."""
    if len(sources) != 1 or not Path(sources[0]).is_dir():
        return False
    return not any(path.suffix == ".tar" or path.name.endswith(".tar.gz") for path in Path(sources[0]).iterdir())


def read_photo(entry: Entry, listed: Mapping[str, str], settings: PhotoSettings) -> ReadPhoto:
    """Decodes a photo and finds its caption; `listed` are those of captions.csv. Raises what `read_still` raises."""
    still = read_still(entry.path, settings.max_pixels)
    texts = sidecar_texts(entry)
    return ReadPhoto(still, find_caption(entry, still.metadata, listed, settings.caption_from, texts), texts)


def photo_samples(
    source: Path, settings: PhotoSettings | None = None
) -> Iterator[Callable[[], Prepared[Still] | Failure]]:
    """For every photo below `source` the call that reads it: a photo, or why none can be fitted on."""
    settings = settings or PhotoSettings()
    listed = read_list(source)
    return (partial(_sample, entry, listed, settings) for entry in walk(source) if entry.kind == "photo")


def _sample(entry: Entry, listed: Mapping[str, str], settings: PhotoSettings) -> Prepared[Still] | Failure:
    try:
        photo = read_photo(entry, listed, settings)
    except (ImageError, Unsuited, ImportError, OSError) as error:  # the run over the photos says so by name
        return Failure("unusable image", str(error))
    return photo.prepared if photo.caption.text else Failure("no caption")
