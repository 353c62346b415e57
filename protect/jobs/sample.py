"""One shard: read, protect, publish, write; the same bytes whenever and wherever it is run."""

import hashlib
import math
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import torch

from protect.clip.trigger_survival import trigger_survives
from protect.data.captions import CaptionError, captions_of, rewrite_captions
from protect.data.images import ImageError, Photo, decode, encode, to_view
from protect.data.pictures import shown
from protect.data.shard_writer import replace_members
from protect.data.shards import image_member, split_name
from protect.data.window import to_images
from protect.methods.parts.trigger import write_words
from protect.methods.protector import Protector
from protect.methods.recipe import Recipe
from protect.publish.gate import BudgetError, Published, publish
from protect.publish.upsample import at_full_size
from protect.settings.publish import PublishSettings
from protect.types import Batch, Member, Sample, Words

UNSEEN = np.empty((3, 0, 0), np.uint8)  # the view of a sample that nobody looks at


class SampleError(ValueError):
    """A sample that cannot be protected, where the user asked to stop at the first (on_error=fail)."""


class Failure(NamedTuple):
    """Why a sample cannot be protected: a kind that is counted, and the details."""

    kind: str
    detail: str = ""

    def __str__(self) -> str:
        return f"{self.kind}: {self.detail}" if self.detail else self.kind


@dataclass
class Ready:
    """A decoded sample that waits for its protection; compared: beside a clean one that was merely written again."""

    sample: Sample
    image: Member
    photo: Photo
    view: np.ndarray
    captions: tuple[str, ...]
    compared: bool = True


@dataclass
class Outcome:
    """A sample as it goes out: protected, with what its private record says, or unchanged, with the reason."""

    sample: Sample
    record: dict[str, Any] | None = None
    failure: Failure | None = None


def view_size(protector: Protector) -> int:
    """Side of the views that it takes, 0 where it takes the whole picture instead."""
    return 0 if protector.method.whole_image else protector.size


def prepare(
    sample: Sample, publish: PublishSettings, size: int = 0, again: bool = False, compared: bool = True
) -> Ready | Outcome:
    """Decodes a sample, or says why it cannot be protected; `again`: its key was seen before, size 0: no view."""
    if not sample.key:
        return Outcome(sample)
    image = image_member(sample)
    if again or image is None:
        return Outcome(sample, failure=Failure("duplicate key" if again else "no image"))
    try:
        captions = captions_of(sample, publish.caption_keys)
        if not captions:
            return Outcome(sample, failure=Failure("no caption"))
        photo = decode(image.data, publish.max_pixels)
    except CaptionError as error:
        return Outcome(sample, failure=Failure("unreadable caption", str(error)))
    except ImageError as error:
        return Outcome(sample, failure=Failure("unusable image", str(error)))
    view = to_view(photo.color, size) if size else UNSEEN
    return Ready(sample, image, photo, view, captions, compared)


def _protect_chunk(
    chunk: list[Ready | Outcome], protector: Protector, publish: PublishSettings, pool: ThreadPoolExecutor
) -> list[Future[Outcome] | Outcome]:
    """Noise and words for the ready samples of a chunk in one batch; their files are made by the pool.

    Noise that follows a picture to its borders has no shape in common with others: the pool makes that too.
    """
    ready = [item for item in chunk if isinstance(item, Ready)]
    if protector.method.whole_image:
        return [
            item if isinstance(item, Outcome) else pool.submit(_protect_whole, item, protector, publish)
            for item in chunk
        ]
    if not ready:
        return [item for item in chunk if isinstance(item, Outcome)]
    pixels = torch.from_numpy(np.stack([item.view for item in ready]))
    keys = tuple(item.sample.key for item in ready)
    protection = protector.protect(Batch(keys, to_images(pixels), tuple(item.captions for item in ready)))
    rows = iter(zip(protection.noise.numpy(), protection.words, strict=True))
    return [
        item if isinstance(item, Outcome) else pool.submit(_publish, item, *next(rows), protector.recipe, publish)
        for item in chunk
    ]


def _protect_whole(item: Ready, protector: Protector, publish: PublishSettings) -> Outcome:
    noise, words, size = protector.protect_whole(item.sample.key, shown(item.photo.image), item.captions)
    return _publish(item, noise, words, protector.recipe, publish, size)


def publish_photo(
    photo: Photo, change: np.ndarray, epsilon: int | float, settings: PublishSettings, reencode: bool = False
) -> Published:
    """A picture of a shard through the gate."""
    pixels = math.prod(photo.size)
    return publish(
        photo,
        change,
        epsilon,
        partial(encode, photo, settings=settings),
        partial(decode, max_pixels=pixels),
        reencode=reencode,
    )


def _publish(
    item: Ready, noise: np.ndarray, words: Words, recipe: Recipe, settings: PublishSettings, size: int | None = None
) -> Outcome:
    """The gate for one sample: picture and captions as files, read again and measured."""
    style = recipe.trigger.trigger_style
    try:
        change = at_full_size(item.photo.image, noise, recipe.noise.epsilon, size)
        published = publish_photo(item.photo, change, recipe.noise.epsilon, settings, item.compared)
        changed = rewrite_captions(item.sample, partial(write_words, words=words, style=style), settings)
    except (BudgetError, ImageError) as error:
        return Outcome(item.sample, failure=Failure("unusable image", str(error)))
    except CaptionError as error:
        return Outcome(item.sample, failure=Failure("unreadable caption", str(error)))
    changed = replace_members(changed, {split_name(item.image.name)[1]: published.data})
    written = captions_of(changed, settings.caption_keys)
    record = {
        "key": item.sample.key,
        "words": words,
        "captions": item.captions,
        "clean": hashlib.sha256(item.image.data).hexdigest(),
        "protected": hashlib.sha256(published.data).hexdigest(),
        **vars(published.change),
        "reencode": published.reencode and vars(published.reencode),
        "notes": (*item.photo.notes, *published.notes),
        "survives": all(trigger_survives(caption, words, style) for caption in written),
    }
    return Outcome(changed, record)
