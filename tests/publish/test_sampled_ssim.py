import numpy as np
import pytest
from PIL import Image

from protect.publish.pixels import compare
from protect.publish.quality import ssim
from protect.publish.sampled_ssim import DOUBT, sampled_ssim, step

SIZES = ((120, 160), (144, 144), (256, 200), (300, 401), (512, 384), (768, 1024))


def photo_like(height: int, width: int, seed: int) -> np.ndarray:
    """Flat areas, edges and texture side by side."""
    random = np.random.default_rng(seed)
    coarse = Image.fromarray(random.integers(0, 256, (6, 8, 3), np.uint8)).resize(
        (width, height), Image.Resampling.BICUBIC
    )
    texture = random.normal(0, 20, (height, width, 3)) * (np.arange(width)[:, None] > width / 2)
    return np.clip(np.asarray(coarse) + texture, 0, 255).astype(np.uint8)


def changed(picture: np.ndarray, strength: float) -> np.ndarray:
    moved = picture + np.random.default_rng(1).normal(0, strength, picture.shape)
    return np.clip(np.rint(moved), 0, 255).astype(np.uint8)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("strength", (1, 6, 30))
def test_agrees_with_the_ssim_of_all_windows(size: tuple[int, int], strength: float) -> None:
    clean = photo_like(*size, seed=size[1])
    noisy = changed(clean, strength)
    assert abs(sampled_ssim(clean, noisy) - ssim(clean, noisy)) < DOUBT
    assert sampled_ssim(clean, clean) == pytest.approx(1, abs=1e-6)


def test_small_pictures_are_compared_in_full() -> None:
    for size in ((5, 300), (300, 5), (64, 64)):
        clean = photo_like(*size, seed=3)
        noisy = changed(clean, 5)
        assert sampled_ssim(clean, noisy) == pytest.approx(ssim(clean, noisy), abs=DOUBT)


def test_steps_never_fall_in_with_the_blocks_of_a_jpeg() -> None:
    assert all(step(length) % 2 for length in range(1, 2000))
    assert step(1080) > step(144) > step(64) == 1


def test_near_the_floor_all_windows_decide() -> None:
    clean = photo_like(300, 401, seed=5)
    noisy = changed(clean, 6)
    whole, sampled = ssim(clean, noisy), sampled_ssim(clean, noisy)
    pair = Image.fromarray(clean), Image.fromarray(noisy)
    assert compare(*pair, floor=whole).colors.ssim == whole != sampled
    assert compare(*pair, floor=whole + 2 * DOUBT).colors.ssim == sampled
    assert compare(*pair).colors.ssim == sampled
