"""What scrapers do to pictures: differentiable, bounded, drawn anew."""

import io

import numpy as np
import pytest
import torch
from PIL import Image

from protect.methods.parts import eot as transformations
from protect.methods.parts.eot import TRANSFORMATIONS, through
from protect.seeds import generator


def smooth_images(count: int = 4, size: int = 32) -> torch.Tensor:
    coarse = torch.rand(count, 3, 4, 4, generator=generator(0, "images"))
    return torch.nn.functional.interpolate(coarse, size=size, mode="bicubic").clamp(0, 1)


@pytest.mark.parametrize("name", TRANSFORMATIONS)
def test_keeps_shape_and_range_and_lets_the_gradient_through(name: str) -> None:
    images = smooth_images(size=40).requires_grad_()
    changed = through([name])(images, generator(0))
    assert changed.shape == images.shape
    assert changed.min() >= 0 and changed.max() <= 1
    (gradient,) = torch.autograd.grad(changed.square().sum(), images)
    assert gradient.isfinite().all() and gradient.abs().mean() > 0.1


@pytest.mark.parametrize("name", sorted(set(TRANSFORMATIONS) - {"gray"}))
def test_is_drawn_anew_at_every_call_and_alike_for_the_same_seed(name: str) -> None:
    images, random = smooth_images(), generator(1)
    first, second = through([name])(images, random), through([name])(images, random)
    assert not torch.equal(first, second)
    assert torch.equal(first, through([name])(images, generator(1)))


def test_jpeg_is_closer_to_the_true_codec_than_the_clean_picture_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transformations, "JPEG_QUALITY", (50.0, 50.0))
    noisy = (smooth_images() + 0.1 * torch.randn(4, 3, 32, 32, generator=generator(2))).clamp(0, 1)
    pixels = (noisy * 255).round().byte()
    ours = through(["jpeg"])(pixels.float() / 255, generator(0)) * 255
    for row, image in zip(ours, pixels, strict=True):
        file = io.BytesIO()
        Image.fromarray(image.permute(1, 2, 0).numpy()).save(file, "JPEG", quality=50, subsampling=2)
        true = torch.from_numpy(np.asarray(Image.open(file)).copy()).permute(2, 0, 1).float()
        assert (row - true).abs().mean() < 0.5 * (image.float() - true).abs().mean()


def test_a_full_crop_is_the_picture_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transformations, "CROP_SCALE", (4.0, 4.0))  # larger than the picture: cut to all of it
    images = smooth_images()
    assert torch.allclose(through(["crop"])(images, generator(0)), images, atol=1e-5)


def test_zoom_mirrors_half_of_the_pictures_and_shows_small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    images = smooth_images(64)
    monkeypatch.setattr(transformations, "ZOOM_SCALE", (4.0, 4.0))
    whole = through(["zoom"])(images, generator(0))
    same = [torch.allclose(row, image, atol=1e-4) for row, image in zip(whole, images, strict=True)]
    mirrored = [torch.allclose(row, image.flip(-1), atol=1e-4) for row, image in zip(whole, images, strict=True)]
    assert all(a != b for a, b in zip(same, mirrored, strict=True)) and 16 < sum(mirrored) < 48
    monkeypatch.undo()
    steps = through(["zoom"])(images, generator(0)).diff(dim=-1).abs().mean()
    assert steps < 0.8 * images.diff(dim=-1).abs().mean()


def test_gray_has_one_value_a_pixel_and_jitter_keeps_a_gray_picture_gray() -> None:
    shades = through(["gray"])(smooth_images(), generator(0))
    assert torch.equal(shades[:, 0], shades[:, 2])
    moved = through(["jitter"])(shades, generator(0))
    assert torch.allclose(moved[:, 0], moved[:, 2], atol=1e-5) and not torch.allclose(moved, shades, atol=0.02)


def test_no_name_changes_nothing_and_an_unknown_one_is_refused() -> None:
    images = smooth_images()
    assert through([])(images, generator(0)) is images
    with pytest.raises(ValueError, match="expected some of crop, zoom, jitter, jpeg, gray, got rain"):
        through(["rain"])
