"""A verifier that cannot fail proves nothing: the rows for strong attackers certify nothing that protects nothing."""

import colorsys
import io

import numpy as np
import pytest
from PIL import Image

from protect.settings.verify import VerifySettings
from protect.verify import comparison
from protect.verify.comparison import compare
from protect.verify.records import BEST, PERCENTILE, Cheap
from protect.verify.report.summary import most

NAMES = ("red", "orange", "yellow", "green", "blue", "purple")
ROWS = ("some-captions", "adaptive-denoiser")
OWN = range(10_000, 11_000)
CHECKED = Cheap((), {}, 8.0, 30.0, 0.9, None, None, 0.5, {})


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
    """folder(numbers, how pairs are protected, captions of each): photos with a .txt beside them."""

    def make(numbers, change=as_it_is, captions=2):
        path = tmp_path_factory.mktemp("photos")
        for number in numbers:
            pixels, lines = scene(number)
            data = io.BytesIO()
            Image.fromarray(change(number, pixels, "")[0]).save(data, "PNG")
            (path / f"{number}.png").write_bytes(data.getvalue())
            (path / f"{number}.txt").write_text("\n".join(change(number, pixels, one)[1] for one in lines[:captions]))
        return str(path)

    return make


def compared(folder, change, attackers, monkeypatch):
    """The comparison of 96 pairs of which one caption is published; attackers own a thousand others."""
    monkeypatch.setattr(comparison, "cheap", lambda *_: CHECKED)
    settings = VerifySettings(
        attackers=attackers,
        epochs=5,
        batch=16,
        size=64,
        learning_rate=2e-3,
        countermeasures=ROWS,
        own_pairs=f"{folder(OWN)}={folder(OWN, change)}",
        mix=(),
        device="cpu",
        jobs=1,
    )
    published = folder(range(96), change, captions=1)
    return compare(folder(range(96)), published, folder(range(500, 560)), settings)


@pytest.mark.slow
def test_clean_files_passed_off_as_protected_retain_all(folder, monkeypatch):
    attackers = ("pretrained-lora", "pretrained-finetune")
    found = compared(folder, as_it_is, attackers, monkeypatch)
    assert {*ROWS, "protected"} <= {arm.name for arm in found.arms}, found.left_out
    for attacker in attackers:
        assert found.gain("clean", attacker, BEST, PERCENTILE) > 0.2  # there is something to lose
        for row in (*ROWS, "protected"):
            assert 0.85 < found.retained(row, attacker, BEST, PERCENTILE) < 1.15, (attacker, row)


@pytest.mark.slow
def test_random_noise_and_words_are_not_certified(folder, monkeypatch):
    found = compared(folder, at_random, ("pretrained-lora",), monkeypatch)
    for row in ROWS:
        assert most(found, row).retained > 0.6, row
    assert found.weakest().retained > 0.6 and found.refusal == ""
