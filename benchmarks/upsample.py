"""How much of the noise comes back: made at training size, enlarged to the photo's own size, resized by an attacker.

    python benchmarks/upsample.py

Correlation of what the attacker's resize (shorter side, bicubic, antialiased, centre crop) brings back with the
noise that was made: random signs of full epsilon, on real photos of two sizes, in lossless files and in JPEGs.
"""

import io

import numpy as np
from common import DATA, ROOT, save, table
from PIL import Image

from protect.data.images import decode
from protect.data.views import see
from protect.jobs.sample import publish_photo
from protect.publish.upsample import at_full_size
from protect.settings.publish import PublishSettings

EPSILON, PHOTOS = 8, ("Bridge_by_Sander_Klootwijk.jpg", "Wine_by_Jakkub_Mede.jpg", "life_by_Aitzol_Berasategi.jpg")


def main() -> None:
    rows = []
    for size in (224, 64):
        for side in (500, 4000):
            for kind in ("PNG", "JPEG"):
                found = [correlation(name, size, side, kind) for name in PHOTOS]
                rows.append(
                    {
                        "noise px": size,
                        "photo px": side,
                        "file": kind,
                        "mean": float(np.mean(found)),
                        "least": min(found),
                    }
                )
    print(table(rows))
    print(save("upsample", {"epsilon": EPSILON, "photos": PHOTOS}, rows).relative_to(ROOT))


def correlation(name: str, size: int, side: int, kind: str) -> float:
    """Of the noise made with the noise that comes back from a published file."""
    picture = Image.open(DATA / "big-photos" / name).convert("RGB")
    scale = side / max(picture.size)
    picture = picture.resize((round(picture.width * scale), round(picture.height * scale)), Image.Resampling.LANCZOS)
    photo = decode(encoded(picture, kind), 10**9)
    noise = np.random.default_rng(0).choice(np.array([-EPSILON, EPSILON], np.int8), (3, size, size))
    change = at_full_size(photo.image, noise, EPSILON)
    published = publish_photo(photo, change, EPSILON, PublishSettings(mask=False, floor=None))
    moved = decode(published.data, 10**9).color.astype(np.float32) - photo.color
    return float(np.corrcoef(bring_back(moved, size).ravel(), noise.ravel())[0, 1])


def bring_back(change: np.ndarray, size: int) -> np.ndarray:
    """A change (HxWxC) after the attacker's resize and centre crop, float32 C x size x size."""
    planes = (np.ascontiguousarray(change[..., c]) for c in range(change.shape[-1]))
    return np.stack([np.asarray(see(Image.fromarray(plane), size)) for plane in planes])


def encoded(picture: Image.Image, kind: str) -> bytes:
    file = io.BytesIO()
    picture.save(file, kind, **({"quality": 95} if kind == "JPEG" else {"compress_level": 1}))
    return file.getvalue()


if __name__ == "__main__":
    main()
