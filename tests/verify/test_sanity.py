"""A verifier that cannot fail proves nothing: random noise and words stop no attacker with pretrained weights."""

import colorsys
import io

import numpy as np
import pytest
from PIL import Image

from protect.settings.verify import VerifySettings
from protect.verify.attackers.train import train
from protect.verify.reading.pairs import read_judged, read_pairs
from protect.verify.records import PERCENTILE, judged_by

NAMES = ("red", "orange", "yellow", "green", "blue", "purple")


def scene(number):
    """A block of one colour on another, and two captions that name both."""
    random = np.random.default_rng(number)
    own, ground = random.choice(len(NAMES), 2, replace=False)
    colours = [tuple(int(255 * v) for v in colorsys.hsv_to_rgb(i / len(NAMES), 0.9, 0.8)) for i in (own, ground)]
    picture = Image.new("RGB", (64, 64), colours[1])
    picture.paste(colours[0], (16, 16, 48, 48))
    pixels = (np.asarray(picture) + random.integers(-8, 9, (64, 64, 3))).clip(0, 255)
    lines = (f"a {NAMES[own]} block on a {NAMES[ground]} ground", f"{NAMES[ground]} around something {NAMES[own]}")
    return pixels.astype(np.uint8), lines


def as_it_is(number, pixels, line):
    return pixels, line


def at_random(number, pixels, line):
    """Random noise and a random word for each pair."""
    random = np.random.default_rng((7, number))
    noise = random.choice([-8, 8], pixels.shape)
    return (pixels + noise).clip(0, 255).astype(np.uint8), f"{random.choice(list('uvwxyz'))} {line}"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """folder(numbers, how pairs are protected): photos with a .txt beside them."""

    def make(numbers, change=as_it_is):
        path = tmp_path_factory.mktemp("photos")
        for number in numbers:
            pixels, lines = scene(number)
            data = io.BytesIO()
            Image.fromarray(change(number, pixels, "")[0]).save(data, "PNG")
            (path / f"{number}.png").write_bytes(data.getvalue())
            (path / f"{number}.txt").write_text("\n".join(change(number, pixels, one)[1] for one in lines))
        return str(path)

    return make


@pytest.mark.slow
def test_lora_learns_from_clean_pairs_and_from_noisy_ones(folder):
    settings = VerifySettings(epochs=4, batch=16, size=64, learning_rate=2e-3, device="cpu")
    test = read_judged([folder(range(500, 560))], 64)
    gains = []
    for change in (as_it_is, at_random):
        results = list(train(read_pairs([folder(range(96), change)], 64), test, "pretrained-lora", settings, 0))
        start, *_, end = (judged_by(result.metrics, PERCENTILE) for result in results)
        gains.append(end - max(0.5, start))
    assert gains[0] > 0.1 and gains[1] > 0.5 * gains[0]
