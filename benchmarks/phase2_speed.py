"""What protecting one picture of a shard costs beside a plain loop, by processor time, and where the time goes.

    python benchmarks/phase2_speed.py

The plain loop decodes a JPEG and encodes it again at the same quality. Ours does what phase 2 does with a sample
once it is read: decode, noise of `instant`, encode, decode again, compare, caption and record; one sample in eight
is also written clean, as in a shard. Both work on the same photos in memory and take turns on one thread; the
ratio is taken turn by turn, so that whatever else the machine does slows both. Stages are timed in turns of their
own, since a clock around each of them costs time as well.
"""

import argparse
import io
import time
from collections import defaultdict
from collections.abc import Callable
from concurrent.futures import Executor, Future
from contextlib import ExitStack
from pkgutil import resolve_name
from statistics import median
from typing import Any
from unittest.mock import patch

import numpy as np
from common import DATA, ROOT, save, table
from PIL import Image
from threadpoolctl import threadpool_limits

from protect.jobs.photos.key import key_protector
from protect.jobs.sample import Outcome, protect_chunk, ready
from protect.jobs.shard_stats import COMPARED
from protect.methods.protector import Protector
from protect.samples import Member, Sample
from protect.settings.publish import PublishSettings

SIZES = ((144, 144), (256, 256), (512, 384), (1024, 768))
QUALITY = 90  # of the clean files
JPEG = PublishSettings().jpeg_quality
PHOTOS = (
    "Bridge_by_Sander_Klootwijk", "Dragonfly_by_Bolly", "Wine_by_Jakkub_Mede", "life_by_Aitzol_Berasategi",
    "friends_by_Aitzol_Berasategi", "greentock_by_Peter_Nerlich", "sunset_by_Aitzol_Berasategi",
    "umang_by_Abhishek_Mudgal",
)  # fmt: skip
STAGES = {
    "decode": "protect.data.prepared.decode",
    "look": "protect.methods.protector.Protector.look",
    "noise": "protect.methods.protector.Protector._perturb_alone",
    "upsample": "protect.jobs.sample.at_full_size",
    "mask": "protect.jobs.sample.masked",
    "add": "protect.publish.gate.with_noise",
    "encode": "protect.jobs.sample.encode",
    "decode again": "protect.jobs.sample.decode",
    "compare": "protect.publish.gate.compare",
}


class SameThread(Executor):
    """Does everything at once, on the thread that asks."""

    def submit(self, work: Callable[..., Any], /, *arguments: Any, **named: Any) -> Future:
        future: Future = Future()
        future.set_result(work(*arguments, **named))
        return future


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=9, help="turns")
    parser.add_argument("--name", default="phase2_speed", help="of the result file")
    parser.add_argument("--bare", action="store_true", help="without the visibility mask and the quality floor")
    settings = parser.parse_args()
    publish = PublishSettings(mask=False, floor=None) if settings.bare else PublishSettings()
    protector = key_protector(7)
    with threadpool_limits(1):
        rows = [row(*size, protector, publish, settings.repeats) for size in SIZES]
    print(table(rows))
    print(save(settings.name, vars(settings), rows).relative_to(ROOT))


def row(width: int, height: int, protector: Protector, publish: PublishSettings, repeats: int) -> dict[str, Any]:
    """Processor milliseconds a picture: the loop's and ours, their ratio, and ours by stage."""
    samples = [sample(name, width, height) for name in PHOTOS]
    plain_loop(samples), protect_all(samples, protector, publish)  # caches and imports
    loops, ours, stages = [], [], []
    for _ in range(repeats):
        loops.append(processor_ms(lambda: plain_loop(samples)))
        ours.append(processor_ms(lambda: protect_all(samples, protector, publish)))
        stages.append(stages_ms(lambda: protect_all(samples, protector, publish)))
    ratios = [our / loop for our, loop in zip(ours, loops, strict=True)]
    found: dict[str, Any] = {
        "pixels": f"{width}x{height}",
        "loop": median(loops),
        "ours": median(ours),
        "ratio": median(ratios),
        "least loop": min(loops),
        "least ours": min(ours),
        "least ratio": min(ours) / min(loops),
    }
    found |= {name: median(turn[name] for turn in stages) for name in STAGES}
    return found | {"rest": median(turn["all"] - sum(turn[name] for name in STAGES) for turn in stages)}


def sample(name: str, width: int, height: int) -> Sample:
    """A photo at this size as a sample of a shard."""
    photo = Image.open(DATA / "big-photos" / f"{name}.jpg").convert("RGB")
    file = io.BytesIO()
    photo.resize((width, height), Image.Resampling.LANCZOS).save(file, "JPEG", quality=QUALITY)
    caption = f"a photo of a {name.split('_')[0].lower()} with people, trees and water"
    return Sample(name, (Member(f"{name}.jpg", file.getvalue()), Member(f"{name}.txt", caption.encode())))


def plain_loop(samples: list[Sample]) -> None:
    for one in samples:
        pixels = np.asarray(Image.open(io.BytesIO(one.members[0].data)).convert("RGB"))
        Image.fromarray(pixels).save(io.BytesIO(), "JPEG", quality=JPEG, subsampling=0)


def protect_all(samples: list[Sample], protector: Protector, publish: PublishSettings) -> None:
    """As `protect.jobs.shard` does it, without the tar."""
    items = [ready(one, protector, publish, compared=n % COMPARED == 0) for n, one in enumerate(samples)]
    for future in protect_chunk(items, protector, publish, SameThread()):  # type: ignore[arg-type]
        outcome = future if isinstance(future, Outcome) else future.result()
        assert outcome.record is not None, outcome.failure


def processor_ms(work: Callable[[], None]) -> float:
    """Milliseconds of processor time for each of the photos."""
    begin = time.process_time()
    work()
    return 1e3 * (time.process_time() - begin) / len(PHOTOS)


def stages_ms(work: Callable[[], None]) -> dict[str, float]:
    """The same by stage, and of all together."""
    spent: dict[str, float] = defaultdict(float)
    with ExitStack() as stack:
        for name, place in STAGES.items():
            stack.enter_context(patch(place, clocked(name, resolve_name(place), spent)))
        everything = processor_ms(work)
    return {"all": everything} | {name: 1e3 * spent[name] / len(PHOTOS) for name in STAGES}


def clocked(name: str, function: Callable[..., Any], spent: dict[str, float]) -> Callable[..., Any]:
    def call(*arguments: Any, **named: Any) -> Any:
        begin = time.process_time()
        try:
            return function(*arguments, **named)
        finally:
            spent[name] += time.process_time() - begin

    return call


if __name__ == "__main__":
    main()
