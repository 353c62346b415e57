"""How far the directions of a picture's words stand out in the files of `instant`, without any training.

    python benchmarks/separation.py

For each direction the log energy of fine texture, in pictures whose caption has a word of it against those whose has
not, by the spread of the clean pictures. Camera photos through `protect photos` at each strength as a network of 224
pixels sees them, and pairs of collage-64 through `protect shards`, as written and after JPEG 75.
"""

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
from common import DATA, ROOT, RUNS, protect, save, table
from PIL import Image

from protect.data.images import LUMA
from protect.data.views import see
from protect.jobs.photos.key import own_words
from protect.jobs.photos.records import read_records
from protect.methods.instant import Directions, vocabulary_of
from protect.methods.instant_settings import InstantSettings
from protect.methods.parts.keywords import Vocabulary
from protect.methods.parts.oriented_bands import DIRECTIONS, textures
from protect.methods.protector import Protector
from protect.verify.countermeasures import COUNTERMEASURES
from protect.verify.reading.pairs import read_pairs

KEY = 1
PAIRS = 500
STRENGTHS = ("subtle", "balanced", "strong")


class Seen(NamedTuple):
    """Log energies of a picture before and after (DIRECTIONS), and the directions of its words."""

    before: np.ndarray
    after: np.ndarray
    said: list[bool]


def main() -> None:
    rows = [photos(strength) for strength in STRENGTHS] + shards()
    print(table(rows))
    print(save("separation", {"key": KEY, "pairs": PAIRS}, rows).relative_to(ROOT))


def photos(strength: str) -> dict[str, object]:
    clean, out = DATA / "big-photos", RUNS / "separation" / strength
    protect("photos", clean, out, "--seed", KEY, "--strength", strength, "--quiet")
    vocabulary = own_words(out / "_protect/private", lambda: Vocabulary(0, {}))
    deal = Directions.of(vocabulary.keywords(), KEY)
    seen = [
        Seen(
            energies(see(Image.open(clean / name).convert("RGB"), 224)),
            energies(see(Image.open(out / name).convert("RGB"), 224)),
            said(deal, vocabulary, record.caption),
        )
        for name, record in read_records(out).items()
        if record.status == "protected"
    ]
    return row(f"camera photos, {strength}", seen)


def shards() -> list[dict[str, object]]:
    clean, out = DATA / "collage-64/train/00000.tar", RUNS / "separation/shards"
    protect("shards", clean, out, "--seed", KEY, "--quiet")
    vocabulary = vocabulary_of(Protector.load(out / "_protect/private/protector").fitted)
    deal = Directions.of(vocabulary.keywords(), KEY)
    before, after = (read_pairs([str(path)], 64, PAIRS) for path in (clean, out / "00000.tar"))
    clean_energies = [energies(Image.fromarray(picture)) for picture in before.pictures]
    spoken = [said(deal, vocabulary, *captions) for captions in before.captions]
    rows = []
    for name, change in (("as written", None), ("after JPEG 75 4:2:0", COUNTERMEASURES["jpeg-75"].picture)):
        files = map(Image.fromarray, after.pictures)
        seen = map(Seen, clean_energies, (energies(change(file) if change else file) for file in files), spoken)
        rows.append(row(f"collage-64, {name}", seen))
    return rows


def energies(picture: Image.Image) -> np.ndarray:
    gray = np.asarray(picture).astype(np.float32) @ LUMA
    return np.log([np.mean(np.abs(texture) ** 2) for texture in textures(gray)])


def said(deal: Directions, vocabulary: Vocabulary, *captions: str) -> list[bool]:
    spoken = deal.of_words(vocabulary.keywords_of(captions, InstantSettings().keywords))
    return [direction in spoken for direction in range(DIRECTIONS)]


def row(name: str, pictures: Iterable[Seen]) -> dict[str, object]:
    """The spread is that of a direction's share: how loud a picture is in all directions tells nothing."""
    before, after, spoken = (np.array(part) for part in zip(*pictures, strict=True))
    moved, shares = after - before, before - before.mean(1, keepdims=True)
    loud, quiet = moved[spoken].mean(), moved[~spoken].mean()
    spread = (shares - shares.mean(0)).std()
    figures = {"said": loud, "other": quiet, "spread": spread, "separation": (loud - quiet) / spread}
    return {"files": name, "pictures": len(before), **{key: float(value) for key, value in figures.items()}}


if __name__ == "__main__":
    main()
