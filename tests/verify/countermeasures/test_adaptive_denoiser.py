"""An attacker with own protected pairs: what the networks learn there is taken from the published files."""

import io

import numpy as np
import pytest
from PIL import Image

from protect.verify.countermeasures import COUNTERMEASURES
from protect.verify.countermeasures.adaptive_denoiser import adapt, own_pairs

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
    """The row of an attacker with 40 pairs, captions of no matter."""
    own = [tmp_path_factory.mktemp(name) for name in ("clean", "protected")]
    for folder, make in zip(own, (scene, protected), strict=True):
        for number in range(40):
            (folder / f"{number}.png").write_bytes(png(make(number)))
            (folder / f"{number}.txt").write_text("a scene")
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
    known = own_pairs(str(clean), str(published))
    assert len(known) == 39
    assert all(np.abs(a.astype(int) - b).mean() < 11 for a, b in known)


def test_too_few_pairs_or_another_form_are_refused(row):
    clean, published = row[1]
    with pytest.raises(ValueError, match="expected at least 1000 keys with pictures of one size"):
        COUNTERMEASURES["adaptive-denoiser"].from_setting(f"{clean}={published}")
    with pytest.raises(ValueError, match="expected CLEAN=PROTECTED, two folders, got 'one'"):
        adapt("one")
