"""Makes a receipt after a run: the twin that was not published is made again in memory and kept with the other."""

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from protect.data.beside import samples_of
from protect.data.captions import captions_of
from protect.data.photo_folder import walk
from protect.data.photo_samples import read_photo
from protect.data.shards import image_member, readable
from protect.jobs.executors import Distribution
from protect.jobs.parts import ALL
from protect.jobs.photos.job import PhotoJob
from protect.jobs.photos.photo import protect_photo
from protect.jobs.photos.records import PhotoRecord
from protect.jobs.plan import Plan
from protect.jobs.progress import Report
from protect.jobs.receipt.coins import TwinProtector, own_coins
from protect.jobs.receipt.store import TwinPair, is_kept, seen, write_pair
from protect.jobs.shard import try_samples
from protect.jobs.shards import own_protector, protect_shards
from protect.methods.protector import Protector
from protect.methods.recipe import Recipe
from protect.samples import Sample
from protect.settings.publish import PublishSettings


def with_twins(job: PhotoJob, receipt: Path, share: float) -> PhotoJob:
    """The same job, but for which twin of a photo is published: that is left to the receipt's coins."""
    return replace(job, protector=TwinProtector.of(job.protector, own_coins(receipt, share)))


def protect_with_receipt(
    plan: Plan, recipe: Recipe, given: Protector | None, report: Report, device: str, receipt: Path, share: float
) -> list[dict[str, Any]]:
    """As `protect_shards`, but which twin of a sample is published is left to coins, and the other one is kept."""
    plan.make_folders()
    protector = TwinProtector.of(given or own_protector(plan, recipe, device, report), own_coins(receipt, share))
    results = protect_shards(plan, recipe, protector, report, device, Distribution(part=ALL))
    receipt_of_shards(plan, protector, receipt)
    return results


def receipt_of_photos(job: PhotoJob, records: Mapping[str, PhotoRecord], receipt: Path) -> int:
    """Keeps the twins of all photos that a run has protected; returns how many pairs the receipt gained.

    `job.protector` is the one that made what was published.
    """
    protector, made = job.protector, 0
    assert isinstance(protector, TwinProtector), "the published twins were made by a coin"
    for entry in walk(job.source, avoid=job.out.resolve()):
        record = records.get(entry.name)
        if entry.kind != "photo" or record is None or record.status != "protected":
            continue
        with suppress(Exception):  # a photo that has changed or gone since; its pair is of no use then
            key = protector.look(read_photo(entry, job.listed, job.settings).prepared).key
            published = (job.out / entry.name).read_bytes()
            if protector.coins.has_twin(key) and not is_kept(receipt, key, published):
                other = protect_photo(entry, job.listed, protector.other(), job.settings)
                files = (published, record.caption), (other.data, other.record.caption)
                coin = protector.coins.published(key)
                write_pair(receipt, key, _pair(entry.name, coin, *files, job.settings.max_pixels), published)
                made += 1
    return made


def receipt_of_shards(plan: Plan, protector: TwinProtector, receipt: Path) -> int:
    """The same for the shards of a run."""
    made = 0
    with ThreadPoolExecutor(max_workers=1) as pool:
        for shard in plan.shards:
            published = {sample.key: sample for sample in readable(plan.files(shard).target)}
            for sample in samples_of(shard, plan.publish):
                if sample.key in published and protector.coins.has_twin(sample.key):
                    made += _keep(sample, published[sample.key], plan.publish, protector, receipt, pool)
    return made


def _keep(
    sample: Sample,
    published: Sample,
    settings: PublishSettings,
    protector: TwinProtector,
    receipt: Path,
    pool: ThreadPoolExecutor,
) -> bool:
    """Keeps the twins of one sample; False where they are kept already, or the sample could not be protected."""
    image = image_member(published)
    if image is None or is_kept(receipt, sample.key, image.data):
        return False
    [outcome] = try_samples([sample], protector.other(), settings, pool)
    if outcome.failure is not None:
        return False
    files, coin = (_file(published, settings), _file(outcome.sample, settings)), protector.coins.published(sample.key)
    write_pair(receipt, sample.key, _pair(sample.key, coin, *files, settings.max_pixels), image.data)
    return True


def _file(sample: Sample, settings: PublishSettings) -> tuple[bytes, str]:
    image = image_member(sample)
    assert image is not None, "a protected sample has a picture"
    return image.data, captions_of(sample, settings.caption_keys)[0]


def _pair(name: str, coin: int, published: tuple[bytes, str], held: tuple[bytes, str], max_pixels: int) -> TwinPair:
    one, two = (published, held) if coin == 0 else (held, published)
    pictures = seen(one[0], max_pixels), seen(two[0], max_pixels)
    return TwinPair(name, pictures, (one[1], two[1]), coin)
