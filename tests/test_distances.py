import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from protect.distortion import measure
from protect.verify import distances as module
from protect.verify.distances import distances, reencoded
from protect.verify.sampling import Sampled
from protect.verify.scraping import Find

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
