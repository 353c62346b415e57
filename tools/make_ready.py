"""Make protect/ready/tiles.safetensors: the textures that come with the tool.

    python tools/make_ready.py

They are learned (protect/methods/readable.py) on random cuts of the free photos in samples/photos and are a pool of
24 that every key deals anew; protect/ready/about.json says how the file in the repository was made.
"""

import argparse
import hashlib
import json
from pathlib import Path

import numpy as np
import safetensors.torch
import torch
from PIL import Image

from protect.data.window import Window
from protect.methods import code, readable
from protect.settings.recipe import CodeSettings, FitSettings, Recipe, TriggerSettings

ROOT = Path(__file__).resolve().parents[1]
READY = ROOT / "protect/ready"
PHOTOS = ROOT / "samples/photos"
PATCHES = 2  # cuts a side: a view is a collage of four
LARGEST = 4  # a cut shows up to this many pixels of the photo for one of the view


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=180)
    parser.add_argument("--size", type=int, default=64)
    parser.add_argument("--views", type=int, default=4096)
    parser.add_argument("--seed", type=int, default=0)
    settings = parser.parse_args()
    recipe = Recipe(
        FitSettings(method="code", size=settings.size, window=settings.views, seed=settings.seed),
        TriggerSettings(trigger_words=3, alphabet=8),
        code=CodeSettings(grade="learned", tile_steps=settings.steps),
    )
    window = make_window(settings.views, settings.size, np.random.default_rng(settings.seed))
    start = code.draw(recipe).tensors[code.TILES]
    tiles = readable.learn(start, window, recipe, lambda line: print(line, flush=True))
    pool = (tiles.flatten(0, 1) / recipe.noise.epsilon).contiguous()
    READY.mkdir(exist_ok=True)
    data = safetensors.torch.save({code.TILES: pool})
    (READY / "tiles.safetensors").write_bytes(data)
    about = {
        "command": f"python tools/make_ready.py --steps {settings.steps} --seed {settings.seed}",
        "photos": {path.name: _hash(path.read_bytes()) for path in sorted(PHOTOS.glob("*.jpg"))},
        "window": window.fingerprint(),
        "recipe": recipe.to_dict(),
        "sha256": _hash(data),
    }
    (READY / "about.json").write_text(json.dumps(about, indent=1) + "\n")


def make_window(views: int, size: int, random: np.random.Generator) -> Window:
    """Collages of four random cuts of the photos, at random scales."""
    photos = [Image.open(path).convert("RGB") for path in sorted(PHOTOS.glob("*.jpg"))]
    window, side = Window(size, views), size // PATCHES
    for number in range(views):
        view = Image.new("RGB", (size, size))
        for place in range(PATCHES * PATCHES):
            photo = photos[random.integers(len(photos))]
            cut = int(side * random.uniform(1, min(LARGEST, min(photo.size) / side)))
            left, top = random.integers(photo.width - cut + 1), random.integers(photo.height - cut + 1)
            box = (left, top, left + cut, top + cut)
            corner = (place % PATCHES * side, place // PATCHES * side)
            view.paste(photo.resize((side, side), Image.Resampling.BICUBIC, box), corner)
        window.add(str(number), np.asarray(view).transpose(2, 0, 1), [""])
    return window


def _hash(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


if __name__ == "__main__":
    torch.set_num_threads(1)
    main()
