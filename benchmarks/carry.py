"""How much of the noise comes back: made at training size, carried to the photo's own size, resized by an attacker.

    python benchmarks/carry.py

Correlation of what the attacker's resize (shorter side, bicubic, antialiased, centre crop) brings back with the
noise that was made: random signs of full epsilon, on real photos of two sizes, in lossless files and in JPEGs.
"""

import io

import numpy as np
from common import DATA, ROOT, save, table
from PIL import Image

from protect.data.images import decode
from protect.publish.gate import publish_image
from protect.publish.upsample import bring_back
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
    print(save("carry", {"epsilon": EPSILON, "photos": PHOTOS}, rows).relative_to(ROOT))


def correlation(name: str, size: int, side: int, kind: str) -> float:
    """Of the noise made with the noise that comes back from a published file."""
    picture = Image.open(DATA / "big-photos" / name).convert("RGB")
    scale = side / max(picture.size)
    picture = picture.resize((round(picture.width * scale), round(picture.height * scale)), Image.Resampling.LANCZOS)
    photo = decode(encoded(picture, kind), 10**9)
    noise = np.random.default_rng(0).choice(np.array([-EPSILON, EPSILON], np.int8), (3, size, size))
    published = publish_image(photo, noise, float(EPSILON), PublishSettings(), measure_reencode=False)
    change = decode(published.data, 10**9).color.astype(np.float32) - photo.color
    return float(np.corrcoef(bring_back(change, size).ravel(), noise.ravel())[0, 1])


def encoded(picture: Image.Image, kind: str) -> bytes:

    file = io.BytesIO()
    picture.save(file, kind, **({"quality": 95} if kind == "JPEG" else {"compress_level": 1}))
    return file.getvalue()


if __name__ == "__main__":
    main()
