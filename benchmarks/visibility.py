"""How visible published noise is: SSIM and PSNR of written files, with the mask and the floor and without.

python benchmarks/visibility.py [--pictures 40] [--sheet docs/images/twelve.jpg]

Method instant at epsilon 8. Camera photos are scaled to 512 px on the long side; the other sets are taken as they
are. Everything is measured on the decoded file. --sheet also draws twelve of the photos, clean beside protected.
"""

import argparse
import io
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from statistics import mean

import numpy as np
from common import DATA, ROOT, save, table
from PIL import Image

from protect.data.images import Photo, decode
from protect.data.prepared import Prepared
from protect.data.shards import image_member, read_samples
from protect.jobs.photos.key import EPSILON, key_protector
from protect.jobs.sample import publish_photo
from protect.publish.gate import Published
from protect.publish.upsample import at_full_size
from protect.settings.publish import PublishSettings

CAMERA = 512  # pixels on the long side
CAPTION = ("a dog on the grass beside a house",)
SETS = {
    "camera photos, 512 px": None,
    "flickr8k, 144 px": DATA / "flickr8k/train/00000.tar",
    "collage-64": DATA / "collage-64/train/00000.tar",
}
FREE = ("aitzgorri", "friends", "life", "picosdeeuropa", "Picture_0B", "seeding", "sunset")  # CC BY 4.0 and CC0
SAMPLES = ("astronaut", "chelsea", "coffee", "rocket", "gravel")
TILE, MARGIN = 256, 8


def small(path: Path) -> bytes:
    """A photo as a JPEG of camera size."""
    image = Image.open(path).convert("RGB")
    scale = min(1.0, CAMERA / max(image.size))
    image = image.resize((round(image.width * scale), round(image.height * scale)), Image.Resampling.LANCZOS)
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=95, subsampling=0)
    return buffer.getvalue()


def pictures(shard: Path | None, count: int) -> Iterator[tuple[str, Photo]]:
    if shard is None:
        files = sorted((DATA / "big-photos").glob("*.jpg"))[:count]
        yield from ((file.stem, decode(small(file), 10**8)) for file in files)
        return
    for number, sample in enumerate(read_samples(shard)):
        if number == count:
            return
        member = image_member(sample)
        assert member is not None
        yield sample.key, decode(member.data, 10**8)


def published(key: str, photo: Photo, settings: PublishSettings) -> Published:
    protector = key_protector(5)
    [perturb] = protector.perturb([protector.look(Prepared(key, CAPTION, photo))])
    noise, _, size = perturb()
    change = at_full_size(photo.image, noise, EPSILON, size, coarse=True)
    return publish_photo(photo, change, EPSILON, settings)


def sheet(settings: PublishSettings) -> Image.Image:
    """Twelve photos, clean on the left and protected on the right of each."""
    files = [next((DATA / "big-photos").glob(f"{name}*.jpg")) for name in FREE]
    files += [ROOT / "samples/photos" / f"{name}.jpg" for name in SAMPLES]
    cell = 2 * TILE + 2 * MARGIN
    drawn = Image.new("RGB", (2 * cell, 6 * (TILE + MARGIN)), "white")
    for number, file in enumerate(files):
        photo = decode(small(file), 10**8)
        after = decode(published(file.stem, photo, settings).data, 10**8)
        for side, one in enumerate((photo, after)):
            image = one.image.convert("RGB")
            left, top = (image.width - TILE) // 2, (image.height - TILE) // 2
            place = (number % 2 * cell + side * TILE, number // 2 * (TILE + MARGIN))
            drawn.paste(image.crop((left, top, left + TILE, top + TILE)), place)
    return drawn


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pictures", type=int, default=40, help="of each set, at most")
    parser.add_argument("--sheet", type=Path, help="file for the contact sheet")
    asked = parser.parse_args()
    ways = {"plain": replace(PublishSettings(), mask=False, floor=None), "masked": PublishSettings()}
    if asked.sheet:
        sheet(ways["masked"]).save(asked.sheet, quality=92)
    rows = []
    for name, shard in SETS.items():
        some = list(pictures(shard, asked.pictures))
        for way, settings in ways.items():
            made = [published(key, photo, settings) for key, photo in some]
            ssim = [one.change.ssim for one in made]
            rows.append({
                "set": name, "noise": way, "pictures": len(made),
                "ssim mean": round(mean(ssim), 4), "ssim least": round(min(ssim), 4),
                "psnr": round(mean(one.change.psnr for one in made), 2),
                "lowered by the floor": int(np.sum([one.scale < 1 for one in made])),
            })  # fmt: skip
    print(table(rows))
    print(save("visibility", {"pictures": asked.pictures, "method": "instant", "epsilon": EPSILON}, rows))


if __name__ == "__main__":
    main()
