"""An attacker with own protected pairs: what the networks learn there is taken from the published files."""

import io

import numpy as np
import pytest
from PIL import Image

from protect.verify.countermeasures import COUNTERMEASURES
from protect.verify.countermeasures import adaptive_denoiser as module
from protect.verify.countermeasures.adaptive_denoiser import adapt, adapt_and_strip, own_pairs

STRIPES = np.where(np.arange(48)[:, None, None] % 4 < 2, 10, -10)


def scene(number):
    coarse = np.random.default_rng(number).integers(30, 220, (6, 6, 3), np.uint8)
    return np.asarray(Image.fromarray(coarse).resize((48, 48), Image.Resampling.BICUBIC))


def protected(number):
    return (scene(number) + STRIPES).clip(0, 255).astype(np.uint8)


def png(pixels):
    data = io.BytesIO()
    Image.fromarray(pixels).save(data, "PNG")
    return data.getvalue()


@pytest.fixture(scope="module")
def row(tmp_path_factory):
    """The row of an attacker with 40 pairs, of which the protected ones have two words more."""
    own = [tmp_path_factory.mktemp(name) for name in ("clean", "protected")]
    for folder, make in zip(own, (scene, protected), strict=True):
        for number in range(40):
            (folder / f"{number}.png").write_bytes(png(make(number)))
            words = f"zebra {number} " if make is protected else ""
            (folder / f"{number}.txt").write_text(f"{words}a scene")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "STEPS", 150)
        patch.setattr(module, "DETECTOR_STEPS", 60)
        return adapt(f"{own[0]}={own[1]}", fewest=40), own


def error(picture, number):
    return np.abs(np.asarray(picture).astype(int) - scene(number)).mean()


def test_unseen_pictures_lose_most_of_what_own_pairs_taught(row):
    for number in range(100, 104):
        assert error(row[0].picture(Image.fromarray(protected(number))), number) < 0.5 * error(
            protected(number), number
        )


def test_pictures_that_are_not_protected_stay_as_they_are(row):
    same = [error(row[0].picture(Image.fromarray(scene(number))), number) == 0 for number in range(100, 110)]
    assert sum(same) >= 8


def test_pairs_are_matched_by_key(row):
    clean, published = row[1]
    (clean / "0.png").unlink()
    known = own_pairs(f"{clean}={published}", fewest=39)
    assert len(known.pictures) == 39 and known.words == (2, 0)
    assert all(np.abs(a.astype(int) - b).mean() < 11 for a, b in known.pictures)


def test_who_strips_too_drops_as_many_words_as_the_tool_planted_in_own_captions(row, monkeypatch):
    monkeypatch.setattr(module, "STEPS", 1)
    monkeypatch.setattr(module, "DETECTOR_STEPS", 1)
    clean, published = row[1]
    change = adapt_and_strip(f"{clean}={published}", fewest=30)
    assert change.setting is None and change.picture is not None
    assert change.captions([("lion 7 two dogs", "lion 8 a cat"), ("lion 9",)]) == [("two dogs", "a cat"), ()]


def test_too_few_pairs_or_another_form_are_refused(row):
    clean, published = row[1]
    with pytest.raises(ValueError, match="expected at least 1000 keys with pictures of one size"):
        COUNTERMEASURES["adaptive-denoiser"].from_setting(f"{clean}={published}")
    with pytest.raises(ValueError, match="expected CLEAN=PROTECTED, two folders, got 'one'"):
        adapt("one")
