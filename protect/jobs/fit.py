"""The whole job: fit if need be, then protect shard after shard; killed at any moment it goes on where it was."""

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import islice
from pathlib import Path

from protect.clip.models import choose_device, image_size
from protect.data.beside import samples_of
from protect.data.photo_samples import photo_samples
from protect.data.prepared import Failure, Prepared, View, prepare
from protect.data.shards import readable
from protect.data.storage import Place
from protect.data.window import Window
from protect.files import PlanError
from protect.jobs.look import MEASURED, Looks
from protect.jobs.progress import Report
from protect.methods.protector import Protector, fit
from protect.methods.recipe import Recipe
from protect.seeds import derive
from protect.settings.publish import PublishSettings
from protect.settings.recipe import USUAL_SIZE, FitSettings

LEAST = 2  # pairs that a loss can contrast
CURES = {  # for the reason that most samples have
    "no image": "name pictures KEY.jpg, KEY.png or KEY.webp, the members of a sample side by side in the tar",
    "no caption": "put the caption into KEY.txt or KEY.json, or name its JSON or parquet field by --caption-keys",
    "unreadable caption": "write captions as UTF-8",
    "unusable image": "write pictures as JPEG, PNG or WebP",
}
Read = Callable[[], Prepared | Failure]  # what reads one pair


def fill_window(
    shards: Sequence[Place],
    recipe: Recipe,
    publish: PublishSettings,
    device: str = "auto",
    looks: Looks | None = None,
) -> Window:
    """Pairs to fit on: all of them, or whole shards in an order drawn from the seed until the window is full."""
    looks = Looks(len(shards)) if looks is None else looks
    shards = sorted(shards, key=lambda shard: derive(recipe.fit.seed, "window", shard.name))
    pairs = (
        partial(prepare, sample, publish)
        for shard in shards
        for sample in samples_of(shard, publish, readable(shard))
    )
    return window_of(pairs, recipe, (size for shard in shards for size in looks[shard].sizes), device)


def window_of(
    pairs: Iterator[Read], recipe: Recipe, sizes: Iterator[tuple[int, int]], device: str = "auto"
) -> Window:
    """The usable ones of the pairs, until the window is full; `sizes` are those of some of the pictures."""
    settings = recipe.fit
    window = Window(_view_size(recipe, sizes, device), settings.window)
    with ThreadPoolExecutor(max_workers=os.cpu_count()) as pool:
        while not window.full and (some := list(islice(pairs, settings.batch))):
            for view in pool.map(partial(_view, size=window.size), some):
                if isinstance(view, Failure):
                    window.refused[view.kind] += 1
                    window.detail.setdefault(view.kind, view.detail)
                elif not window.full:
                    window.add(view.key, view.pixels, view.captions)
    return window


def _view_size(recipe: Recipe, sizes: Iterator[tuple[int, int]], device: str) -> int:
    """The side of views and noise.

    Where no surrogate is used or named it is what most CLIPs take, or that of the pictures where these are smaller:
    three of four of those looked at are at least that large.
    """
    settings = recipe.fit
    if settings.size or not recipe.method.any_size or settings.surrogate != FitSettings().surrogate:
        return image_size(settings.surrogate, choose_device(device), settings.size)
    sides = sorted(min(size) for size in islice(sizes, MEASURED))
    return min([USUAL_SIZE, *sides[len(sides) // 4 :]])


def _view(read: Read, size: int) -> View | Failure:
    """What the window keeps of a pair, or why it cannot be used; the decoded picture is let go."""
    item = read()
    return item.view(size) if isinstance(item, Prepared) else item


def _fit(window: Window, recipe: Recipe, report: Report, device: str, rounds: Path | None) -> Protector:
    """Phase 1; ValueError says why there is too little to fit on, by the most frequent reason, and what to do."""
    if len(window) >= LEAST:
        return fit(window, recipe, report, device, rounds)
    refused, usable = window.refused, len(window)
    reasons = ", ".join(
        f"{count} with {kind}" + (f": {detail}" if (detail := window.detail.get(kind)) else "")
        for kind, count in refused.most_common()
    )
    cure = CURES.get(next(iter(refused.most_common(1)), ("", 0))[0], "give it more pairs")
    found = f"{usable} of {usable + refused.total()} samples ({reasons})" if refused else str(usable)
    raise ValueError(f"fit: expected at least {LEAST} usable pairs (the loss contrasts them), got {found}; {cure}")


def refuse_many_processes() -> None:
    """Raise PlanError under torchrun: a fit is one process's work."""
    if int(os.environ.get("WORLD_SIZE", 1)) > 1:
        raise PlanError("torchrun: expected one process to fit a protector, found several; run it without torchrun")


def fit_on_shards(
    shards: Sequence[Place],
    recipe: Recipe,
    publish: PublishSettings,
    report: Report,
    device: str = "auto",
    looks: Looks | None = None,
    rounds: Path | None = None,
) -> Protector:
    """Phase 1 on shards; `rounds`: a folder to resume from if the fit is killed."""
    refuse_many_processes()
    return _fit(fill_window(shards, recipe, publish, device, looks), recipe, report, device, rounds)


def fit_on_photos(
    source: Path, recipe: Recipe, report: Report, device: str = "auto", rounds: Path | None = None
) -> Protector:
    """Phase 1 on the photos of a folder that have captions; `rounds`: a folder to resume from if it is killed."""
    refuse_many_processes()
    items = (read() for read in photo_samples(source))
    sizes = (item.picture.image.size for item in items if isinstance(item, Prepared))
    return _fit(window_of(photo_samples(source), recipe, sizes, device), recipe, report, device, rounds)
