"""The share of the noise that is left: what was taken away of it in whole or in a band is measured."""

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from protect.jobs.check.noise_left import noise_left


@pytest.fixture
def pictures():
    """A smooth original with some texture, and noise of fine waves."""
    random = np.random.default_rng(1)
    original = gaussian_filter(random.normal(0, 200, (120, 160, 3)), (3, 3, 0)) + 128
    fine = random.normal(0, 8, (120, 160, 1)) * np.ones(3)
    return original.astype(np.float32), (fine - gaussian_filter(fine, (2, 2, 0))).astype(np.float32)


@pytest.mark.parametrize("share", [0.0, 0.3, 1.0])
def test_the_share_is_exact_with_the_original(pictures, share):
    original, noise = pictures
    left = noise_left(0.8 * original + share * noise + 20, original + noise, noise, exact=True)
    assert left.left == pytest.approx(share, abs=0.02)
    assert sum(band.weight for band in left.bands) == pytest.approx(1, abs=0.05)


@pytest.mark.parametrize("share", [0.3, 1.0])
def test_the_share_is_that_of_the_picture_without_the_original(pictures, share):
    original, noise = pictures
    mine = original + noise
    guess = np.roll(noise, 7, axis=1)  # as strong in each band, but another wave
    assert noise_left(share * mine, mine, guess, exact=False).left == pytest.approx(share, abs=0.02)


def test_a_blur_takes_more_of_the_finer_bands(pictures):
    original, noise = pictures
    mine = original + noise
    bands = noise_left(gaussian_filter(mine, (0.8, 0.8, 0)), mine, noise, exact=True).bands
    shares = [band.left for band in bands if band.name.endswith("brightness")]
    assert len(shares) >= 2 and shares == sorted(shares)


def test_a_file_without_noise_is_refused(pictures):
    original, _ = pictures
    with pytest.raises(ValueError, match="expected some, found none"):
        noise_left(original, original, 0 * original, exact=True)
