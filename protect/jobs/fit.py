"""The whole job: fit if need be, then protect shard after shard; killed at any moment it goes on where it was."""

import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import chain, islice
from pathlib import Path

import numpy as np

from protect.clip.models import choose_device, image_size
from protect.data.photo_samples import photo_samples
from protect.data.shards import readable
from protect.data.window import Window
from protect.files import PlanError
from protect.jobs.progress import Report
from protect.jobs.sample import Ready, prepare
from protect.methods.protector import Protector, fit
from protect.methods.recipe import Recipe
from protect.seeds import derive
from protect.settings.publish import PublishSettings
from protect.settings.recipe import USUAL_SIZE, FitSettings
from protect.types import Sample

MEASURED = 64  # pictures whose size is looked at before a fit without a surrogate


def fill_window(shards: Sequence[Path], recipe: Recipe, publish: PublishSettings, device: str = "auto") -> Window:
    """Pairs to fit on: all of them, or whole shards in an order drawn from the seed until the window is full."""
    shards = sorted(shards, key=lambda shard: derive(recipe.fit.seed, "window", shard.name))
    return window_of((sample for shard in shards for sample in readable(shard)), recipe, publish, device)


def window_of(samples: Iterator[Sample], recipe: Recipe, publish: PublishSettings, device: str = "auto") -> Window:
    """The first usable pairs among the samples, until the window is full."""
    fit_settings = recipe.fit
    size, samples = _view_size(samples, recipe, publish, device)
    window = Window(size, fit_settings.window)
    with ThreadPoolExecutor(max_workers=os.cpu_count()) as pool:
        while not window.full and (some := list(islice(samples, fit_settings.batch))):
            for pair in pool.map(lambda sample: _pair(sample, publish, window.size), some):
                if pair and not window.full:
                    window.add(*pair)
    return window


def _view_size(
    samples: Iterator[Sample], recipe: Recipe, publish: PublishSettings, device: str
) -> tuple[int, Iterator[Sample]]:
    """The side of views and noise, and the samples once more.

    Where no surrogate is used or named it is what most CLIPs take, or that of the pictures where these are smaller:
    three of four of the first ones are at least that large.
    """
    settings = recipe.fit
    if settings.size or not recipe.method.any_size or settings.surrogate != FitSettings().surrogate:
        return image_size(settings.surrogate, choose_device(device), settings.size), samples
    first = list(islice(samples, MEASURED))
    items = [prepare(sample, publish) for sample in first]
    sides = sorted(min(item.photo.size) for item in items if isinstance(item, Ready))
    return min([USUAL_SIZE, *sides[len(sides) // 4 :]]), chain(first, samples)


def _pair(sample: Sample, publish: PublishSettings, size: int) -> tuple[str, np.ndarray, tuple[str, ...]] | None:
    """What the window keeps of a sample; the decoded photo is let go."""
    item = prepare(sample, publish, size)
    return (item.sample.key, item.view, item.captions) if isinstance(item, Ready) else None


def refuse_many_processes() -> None:
    """Raise PlanError under torchrun: a fit is one process's work."""
    if int(os.environ.get("WORLD_SIZE", 1)) > 1:
        raise PlanError("torchrun: expected one process to fit a protector, found several; run it without torchrun")


def fit_on_shards(
    shards: Sequence[Path], recipe: Recipe, publish: PublishSettings, report: Report, device: str = "auto"
) -> Protector:
    """Phase 1 on shards."""
    refuse_many_processes()
    return fit(fill_window(shards, recipe, publish, device), recipe, report, device)


def fit_on_photos(source: Path, recipe: Recipe, report: Report, device: str = "auto") -> Protector:
    """Phase 1 on the photos of a folder that have captions."""
    refuse_many_processes()
    return fit(window_of(photo_samples(source), recipe, PublishSettings(), device), recipe, report, device)
