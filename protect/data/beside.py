"""Samples whose captions stand only in the parquet beside their shard."""

from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import replace

from protect.data.captions import CaptionError, captions_of
from protect.data.parquet import parquet_captions
from protect.data.sample_keys import Keys
from protect.data.shards import image_member, read_samples, sibling_parquet
from protect.data.storage import Place
from protect.samples import Sample
from protect.settings.publish import PublishSettings


def samples_of(shard: Place, settings: PublishSettings, samples: Iterable[Sample] | None = None) -> Iterator[Sample]:
    """The samples of a shard; those without a caption of their own have the ones that their parquet row has.

    Raises as `read_samples` does; a parquet that cannot be read has no captions.
    """
    rows: _Rows | None = None
    for sample in read_samples(shard) if samples is None else samples:
        if sample.key and image_member(sample) is not None and not _has_caption(sample, settings):
            rows = rows or _Rows(shard, settings)
            sample = replace(sample, beside=rows.captions(sample.key))
        yield sample


class _Rows:
    """The captions of a shard's parquet, by the keys of its samples."""

    def __init__(self, shard: Place, settings: PublishSettings) -> None:
        self._captions: dict[str, tuple[str, ...]] = {}
        parquet = sibling_parquet(shard)
        if parquet is not None:
            with suppress(CaptionError):  # writing it again tells of that
                self._captions = parquet_captions(parquet, settings)
        self._keys = Keys(self._captions)

    def captions(self, key: str) -> tuple[str, ...]:
        row = self._keys.find(key)
        return self._captions[row] if row is not None else ()


def _has_caption(sample: Sample, settings: PublishSettings) -> bool:
    try:
        return bool(captions_of(sample, settings.caption_keys))
    except CaptionError:
        return True  # the sample fails on its own, by name
