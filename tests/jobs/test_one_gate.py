"""The rules of the gate, each through a shard and through a folder of photos."""

import io
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from PIL import Image

from protect.data.shards import image_member, read_samples
from protect.jobs.photos.job import make_job
from protect.jobs.photos.key import EPSILON, key_protector
from protect.jobs.photos.run import protect_photos
from protect.jobs.plan import Plan
from protect.jobs.shard import write_shard
from protect.settings.publish import PhotoSettings, PublishSettings

PATHS = ("shard", "photos")
paths = pytest.mark.parametrize("path", PATHS)


@pytest.fixture
def through(tmp_path, make_shard):
    """through(path, name, data): the published bytes, None where it was refused, and the reason or notes."""

    def shard(extension, data):
        source = make_shard(tmp_path / "in.tar", {"a": {extension: data, "txt": "a boat"}})
        plan = Plan((source,), tmp_path / "shard", PublishSettings(on_error="skip"))
        plan.private.mkdir(parents=True)
        with ThreadPoolExecutor(1) as pool:
            stats = write_shard(source, plan.files(source), key_protector(7), plan.publish, "run", pool)
        written = [image_member(sample).data for sample in read_samples(plan.files(source).target)]
        return (written[0] if written else None), "; ".join(error["reason"] for error in stats["errors"])

    def photos(extension, data):
        (tmp_path / "in").mkdir()
        (tmp_path / "in" / f"a.{extension}").write_bytes(data)
        (tmp_path / "in" / "a.txt").write_text("a boat")
        job = make_job(tmp_path / "in", tmp_path / "out", PhotoSettings(seed=7))
        record = protect_photos(job)[f"a.{extension}"]
        file = tmp_path / "out" / record.name
        return (file.read_bytes() if file.exists() else None), record.reason

    return lambda path, *file: {"shard": shard, "photos": photos}[path](*file)


def pixels(data):
    return np.asarray(Image.open(io.BytesIO(data))).astype(int)


@paths
@pytest.mark.parametrize(("format", "mode", "options"), [
    ("PNG", "RGBA", {}), ("PNG", "LA", {}), ("WEBP", "RGBA", {"lossless": True, "exact": True}), ("WEBP", "RGBA", {})
])  # fmt: skip
def test_alpha_is_as_it_was(through, path, format, mode, options):
    image = Image.open(io.BytesIO(saved("RGB"))).convert(mode)
    image.putalpha(Image.linear_gradient("L").resize(image.size))
    clean = encoded(image, format, **options)
    published, _ = through(path, format.lower(), clean)
    moved = np.abs(pixels(published) - pixels(clean))
    assert moved[..., -1].max() == 0 < moved[..., :-1].max()


@paths
def test_a_lossless_file_whose_alpha_moved_is_refused(through, path, monkeypatch):
    save = Image.Image.save

    def fading(image, file, format=None, **options):
        if image.mode == "RGBA":
            image.putalpha(image.getchannel("A").point(lambda value: value ^ 1))
        save(image, file, format, **options)

    clean = saved("RGBA")
    monkeypatch.setattr(Image.Image, "save", fading)
    published, reason = through(path, "png", clean)
    assert published is None and "expected alpha unchanged, found changes of 1/255" in reason


@paths
def test_a_jpeg_is_measured_not_refused(through, path):
    """Its codec alone moves pixels by more than epsilon."""
    clean = saved("RGB", "JPEG", quality=60)
    published, reason = through(path, "jpg", clean)
    moved = np.abs(pixels(published) - pixels(clean))
    assert reason == "" and moved.max() > 0 and published != clean


@paths
def test_sixteen_bit_grey_moves_in_whole_255ths(through, path):
    clean = saved("I;16")
    published, reason = through(path, "png", clean)
    moved = pixels(published) - pixels(clean)
    assert reason == "" and Image.open(io.BytesIO(published)).mode == "I;16"
    assert 0 < np.abs(moved).max() <= EPSILON * 257 and not (moved % 257).any()


@paths
def test_a_lossless_file_keeps_epsilon(through, path):
    clean = saved("RGB")
    published, _ = through(path, "png", clean)
    assert 0 < np.abs(pixels(published) - pixels(clean)).max() <= EPSILON


def saved(mode, format="PNG", **options):
    """A picture of 64 x 48 with texture, away from black and white."""
    values = np.random.default_rng(0).integers(60, 190, (48, 64, len(mode) if mode != "I;16" else 1))
    if mode == "I;16":
        return encoded(Image.fromarray((values[..., 0] * 257 + 5).astype(np.uint16)), format)
    return encoded(Image.fromarray(values.astype(np.uint8), mode), format, **options)


def encoded(image, format, **options):
    file = io.BytesIO()
    image.save(file, format, **options)
    return file.getvalue()
