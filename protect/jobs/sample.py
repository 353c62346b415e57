"""One sample of a shard: decoded, protected, published."""

import hashlib
import math
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from typing import Any, TypeVar

import numpy as np

from protect.clip.trigger_survival import trigger_survives
from protect.data.captions import CaptionError, captions_of, rewrite_captions
from protect.data.images import ImageError, Photo, decode, encode
from protect.data.prepared import Failure, Prepared, View, prepare
from protect.data.same_picture import same_pictures
from protect.data.shard_writer import replace_members
from protect.data.shards import image_member, split_name
from protect.files import PlanError
from protect.jobs.leak_check import Clean
from protect.jobs.look import undecided_in
from protect.methods.parts.writing import write_words
from protect.methods.protector import Perturbation, Protector
from protect.methods.recipe import Recipe
from protect.publish.gate import BudgetError, Published, publish
from protect.publish.photo_noise import masked
from protect.publish.upsample import GREY, LUMA, at_full_size
from protect.samples import Sample
from protect.settings.publish import PublishSettings
from protect.settings.recipe import NATURAL

Result = TypeVar("Result")


class SampleError(ValueError):
    """A sample that cannot be protected, where the user asked to stop at the first (on_error=fail)."""


@dataclass
class Ready:
    """A decoded sample that waits for its protection; `compared`: a clean one is written again beside it."""

    sample: Sample
    prepared: Prepared[Photo]
    view: View
    compared: bool = True


@dataclass
class Outcome:
    """A sample as it goes out: protected, with what its private record says, or unchanged, with the reason."""

    sample: Sample
    record: dict[str, Any] | None = None
    counts: Counter[str] = field(default_factory=Counter)
    clean: Clean | None = None
    failure: Failure | None = None


def ready(
    sample: Sample, protector: Protector, settings: PublishSettings, again: bool = False, compared: bool = True
) -> Ready | Outcome:
    """Decodes a sample, or says why it cannot be protected; `again`: its key was seen before."""
    if not sample.key:
        return Outcome(rewrite_captions(sample, str, settings))
    prepared = Failure("duplicate key") if again else prepare(sample, settings)
    if isinstance(prepared, Failure):
        return Outcome(sample, failure=prepared)
    if settings.others == "refuse" and (others := undecided_in(sample, settings).others):
        return Outcome(sample, failure=Failure("other members", ", ".join(others)))
    return Ready(sample, prepared, protector.look(prepared), compared)


def protect_chunk(
    chunk: list[Ready | Outcome], protector: Protector, settings: PublishSettings, pool: ThreadPoolExecutor
) -> list[Future[Outcome] | Outcome]:
    """Noise and words for the ready samples of a chunk; their files are made by the pool."""
    perturbations = iter(protector.perturb([item.view for item in chunk if isinstance(item, Ready)]))
    return [
        item
        if isinstance(item, Outcome)
        else pool.submit(publish_sample, item, next(perturbations), protector.recipe, settings)
        for item in chunk
    ]


def publish_photo(
    photo: Photo, change: np.ndarray, epsilon: int | float, settings: PublishSettings, reencode: bool = False
) -> Published:
    """A picture of a shard through the gate, its noise masked as the settings say."""
    again = partial(decode, max_pixels=math.prod(photo.size))
    change = masked(photo.image, change) if settings.mask else change
    write = partial(encode, photo, settings=settings)
    return publish(photo, change, epsilon, write, again, settings.floor, reencode)


def _same_again(
    item: Ready, published: bytes, epsilon: float, settings: PublishSettings
) -> Iterator[tuple[str, bytes]]:
    """Further members that show the picture, each changed as the published one was, at its own size."""
    change: np.ndarray | None = None
    for member, photo in same_pictures(item.sample, item.prepared.picture, settings.max_pixels):
        if change is None:
            written = decode(published, settings.max_pixels).color.astype(np.float32)
            change = written - item.prepared.picture.color
        plane = (change @ LUMA)[..., None] if photo.image.mode in GREY else change
        again = partial(decode, max_pixels=math.prod(photo.size))
        yield member.name, publish(photo, plane, epsilon, partial(encode, photo, settings=settings), again).data


def guarded(sample: Sample, work: Callable[[], Result]) -> Result | Outcome:
    """The result of some work on a sample; whatever goes wrong, but for a refused run, is that sample's failure."""
    try:
        return work()
    except (PlanError, SampleError):
        raise
    except Exception as error:
        found = " ".join(str(error).split())[:200]
        return Outcome(sample, failure=Failure("unexpected error", f"{type(error).__name__}: {found}"))


def publish_sample(
    item: Ready, perturbation: Callable[[], Perturbation], recipe: Recipe, settings: PublishSettings
) -> Outcome:
    """Picture and captions of one sample as files, read again and measured."""
    return guarded(item.sample, lambda: _published(item, perturbation, recipe, settings))


def _published(
    item: Ready, perturbation: Callable[[], Perturbation], recipe: Recipe, settings: PublishSettings
) -> Outcome:
    photo, epsilon, style = item.prepared.picture, recipe.noise.epsilon, recipe.trigger.style
    noise, words, size = perturbation()
    counts = Counter[str]()
    try:
        change = at_full_size(photo.image, noise, epsilon, size, coarse=recipe.method.any_size)
        published = publish_photo(photo, change, epsilon, settings, item.compared)
        same = dict(_same_again(item, published.data, epsilon, settings))
        rewrite = partial(write_words, words=words, style=style)
        changed = rewrite_captions(item.sample, rewrite, settings, same, counts)
    except (BudgetError, ImageError) as error:
        return Outcome(item.sample, failure=Failure("unusable image", str(error)))
    except CaptionError as error:
        return Outcome(item.sample, failure=Failure("unreadable caption", str(error)))
    image = image_member(item.sample)
    assert image is not None, "a prepared sample has a picture"
    changed = replace_members(changed, {split_name(image.name)[1]: published.data})
    written = captions_of(changed, settings.caption_keys)
    spoken = write_words("", words, style) if style.startswith(NATURAL) else None
    record = {
        "key": item.sample.key,
        "words": words,
        "captions": item.prepared.captions,
        "clean": hashlib.sha256(image.data).hexdigest(),
        "protected": hashlib.sha256(published.data).hexdigest(),
        **vars(published.change),
        "reencode": published.reencode and vars(published.reencode),
        "notes": (*photo.notes, *published.notes),
        "survives": all(trigger_survives(caption, words, style, spoken) for caption in written),
    }
    clean = None
    if item.compared:
        captions = item.prepared.captions
        clean = Clean(item.sample.key, captions, tuple(map(rewrite, captions)), image.data)
    return Outcome(changed, record, counts, clean)
