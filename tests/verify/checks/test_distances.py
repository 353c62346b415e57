import io
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from protect.publish.quality import measure, ssimulacra2
from protect.verify.checks import distances as module
from protect.verify.checks.distances import distances, reencoded
from protect.verify.reading.matched_sample import Sampled
from protect.verify.reading.scrape import Find

PIXELS = np.add.outer(np.arange(40), np.arange(56))[..., None].repeat(3, 2).astype(np.uint8) + 50


def file(pixels, kind="PNG", **options):
    data = io.BytesIO()
    Image.fromarray(pixels).save(data, kind, **options)
    return data.getvalue()


def sampled(*pairs):
    clean, published = ([Find(str(i), pair[side], ("a",)) for i, pair in enumerate(pairs)] for side in (0, 1))
    return Sampled(clean, published, [Path("0.tar")], 1, 0)


def test_means_over_pictures_and_the_largest_change():
    other = PIXELS.copy()
    other[3, 5] += 9
    found = distances(
        sampled((file(PIXELS), file(PIXELS + 4)), (file(PIXELS), file(other)), (file(PIXELS), file(PIXELS)))
    )
    alone = measure(PIXELS, PIXELS + 4), measure(PIXELS, other)
    assert (found.linf, found.measured, found.equal, found.reencoded) == (9.0, 3, 1, None)
    assert found.psnr == pytest.approx((alone[0].psnr + alone[1].psnr + 100) / 3)
    assert found.ssim == pytest.approx((alone[0].ssim + alone[1].ssim + 1) / 3)


@pytest.mark.parametrize("sampling", [0, 2])
def test_a_jpeg_stands_beside_the_clean_picture_at_its_quality(sampling):
    published = file(PIXELS + 3, "JPEG", quality=83, subsampling=sampling)
    plain = np.asarray(Image.open(io.BytesIO(file(PIXELS, "JPEG", quality=83, subsampling=sampling))))
    assert np.array_equal(reencoded(PIXELS, published), plain)
    expected = measure(PIXELS, plain)
    assert distances(sampled((file(PIXELS), published))).reencoded == pytest.approx((expected.psnr, expected.ssim))


def test_pictures_are_compared_upright():
    exif = Image.Exif()
    exif[0x0112] = 6
    turned = file(np.rot90(PIXELS).copy(), exif=exif.tobytes())
    assert distances(sampled((turned, file(PIXELS)))).equal == 1


def test_other_sizes_are_counted_or_an_error():
    found = distances(sampled((file(PIXELS), file(PIXELS[:-1])), (file(PIXELS), file(PIXELS))))
    assert (found.measured, found.sizes) == (1, 1)
    with pytest.raises(ValueError, match=r"found none \(1 of another\)"):
        distances(sampled((file(PIXELS), file(PIXELS[:-1]))))


def test_so_many_pixels_are_enough(monkeypatch):
    monkeypatch.setattr(module, "PIXELS", PIXELS[..., 0].size * 1.5)
    assert distances(sampled(*[(file(PIXELS), file(PIXELS))] * 5)).measured == 2


LARGE = np.add.outer(np.arange(300), np.arange(320))[..., None].repeat(3, 2) % 200 + 20
LARGE = LARGE.astype(np.uint8)


def rated(monkeypatch):
    """The package, as far as it is used: half the largest change off a hundred."""

    def score(clean, published):
        a, b = (np.asarray(Image.open(picture).convert("RGB")).astype(int) for picture in (clean, published))
        return 100 - np.abs(a - b).max() / 2

    monkeypatch.setitem(sys.modules, "ssimulacra2", SimpleNamespace(compute_ssimulacra2=score))


def test_pictures_are_rated_where_the_package_is_there(monkeypatch):
    rated(monkeypatch)
    jpeg = file(LARGE, "JPEG", quality=90)
    found = distances(sampled((file(LARGE), file(LARGE + 4)), (file(LARGE), jpeg), (file(PIXELS), file(PIXELS))))
    change = np.abs(np.asarray(Image.open(io.BytesIO(jpeg))).astype(int) - LARGE).max()
    assert found.rating == pytest.approx((98 + 100 - change / 2) / 2)
    assert found.rating_reencoded == pytest.approx(100 - change / 2) and found.unrated == ""


def test_why_pictures_are_not_rated_is_said(monkeypatch):
    rated(monkeypatch)
    small = distances(sampled((file(PIXELS), file(PIXELS + 4))))
    assert small.rating is None and small.unrated == ""
    monkeypatch.setitem(sys.modules, "ssimulacra2", None)
    missing = distances(sampled((file(LARGE), file(LARGE + 4))))
    assert missing.rating is missing.rating_reencoded is None
    assert missing.unrated == "SSIMULACRA2: expected ssimulacra2, not all found; pip install 'ssimulacra2>=0.2'."


def test_rating_stops_where_it_would_take_long(monkeypatch):
    rated(monkeypatch)
    monkeypatch.setattr(module, "RATED", 1.5 * LARGE[..., 0].size)
    found = distances(sampled(*[(file(LARGE), file(LARGE + n)) for n in (2, 4, 40)]))
    assert found.rating == pytest.approx((99 + 98) / 2) and found.measured == 3


def test_the_real_package_knows_a_small_change_from_a_large_one():
    noise = np.random.default_rng(0).choice([-1, 1], LARGE.shape)
    low, high = (ssimulacra2(LARGE, (LARGE + size * noise).astype(np.uint8)) for size in (16, 1))
    assert low < high <= 100 and ssimulacra2(LARGE, LARGE) == pytest.approx(100)
