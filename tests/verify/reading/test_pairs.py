"""Pairs as read: what is kept, how large, and what is counted as unusable."""

import io

import numpy as np
import pytest
import torch
from PIL import Image

from protect.data.images import to_view
from protect.verify.reading import pairs as pairs_module
from protect.verify.reading.image_store import Pictures
from protect.verify.reading.pairs import Pairs, centre, decoded, read_judged, read_pairs, read_sizes, reduced


def png(pixels):
    data = io.BytesIO()
    Image.fromarray(pixels).save(data, "PNG")
    return data.getvalue()


def noise(*shape, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (*shape, 3), dtype=np.uint8)


@pytest.fixture
def shard(make_shard, tmp_path):
    """Twelve pictures of 30 x 20 pixels, two captions each."""
    samples = {f"{i:05}": {"png": png(noise(20, 30, seed=i)), "txt": f"one {i}\ntwo {i}"} for i in range(12)}
    return str(make_shard(tmp_path / "0.tar", samples))


def test_pairs_are_read_as_published(shard):
    pairs = read_pairs([shard], 32)
    assert pairs.keys == tuple(f"{i:05}" for i in range(12)) and pairs.skipped == 0
    assert pairs.captions[5] == ("one 5", "two 5")
    assert all(np.array_equal(picture, noise(20, 30, seed=i)) for i, picture in enumerate(pairs.pictures))


def test_limit_and_keys_choose_pairs(shard):
    assert read_pairs([shard], 32, limit=3).keys == ("00000", "00001", "00002")
    even = read_pairs([shard], 32, limit=2, keep=lambda key: int(key) % 2 == 0 and int(key) > 4)
    assert even.keys == ("00006", "00008")


def test_pictures_in_a_file_are_the_same(shard, tmp_path):
    inside, outside = read_pairs([shard], 8), read_pairs([shard], 8, store=tmp_path / "store")
    assert isinstance(outside.pictures, Pictures) and not isinstance(inside.pictures, Pictures)
    assert all(map(np.array_equal, inside.pictures, outside.pictures))
    moved = inside.stored(tmp_path / "moved")
    assert isinstance(moved.pictures, Pictures) and all(map(np.array_equal, moved.pictures, outside.pictures))
    assert moved.stored(tmp_path / "again") is moved


def test_several_sizes_are_read_in_one_pass(shard, tmp_path, monkeypatch):
    expected = {size: read_pairs([shard], size, 5) for size in (4, 8)}
    opened = []
    monkeypatch.setattr(pairs_module, "decoded", lambda find: opened.append(find.key) or decoded(find))
    found = read_sizes([shard], {size: tmp_path / f"{size}" for size in (4, 8)}, 5)
    assert len(opened) == 5
    for size, pairs in found.items():
        assert (pairs.keys, pairs.captions) == (expected[size].keys, expected[size].captions)
        assert all(map(np.array_equal, pairs.pictures, expected[size].pictures))


def test_an_edit_sees_the_file_before_it_is_reduced(shard):
    seen = []

    def edit(image):
        seen.append(image.size)
        return Image.new("RGB", image.size, "red")

    pairs = read_pairs([shard], 8, limit=1, edit=edit)
    assert seen == [(30, 20)] and pairs.pictures[0].shape == (10, 15, 3)
    assert (pairs.pictures[0] == (255, 0, 0)).all()


@pytest.mark.parametrize(
    ("shape", "kept"),
    [
        ((20, 30), (20, 30)),
        ((40, 60), (40, 60)),
        ((41, 60), (40, 59)),
        ((400, 100), (160, 40)),
        ((100, 2000), (40, 320)),
    ],
)
def test_pictures_are_kept_near_the_training_size(shape, kept):
    assert np.asarray(reduced(Image.fromarray(noise(*shape)), 32)).shape[:2] == kept


def test_what_cannot_be_read_is_skipped_and_counted(make_shard, tmp_path):
    image = png(noise(9, 9))
    bad = [
        {"png": image[: len(image) // 2], "txt": "half a picture"},
        {"png": b"no picture", "txt": "text"},
        {"png": image, "txt": " \n\n"},
        {"png": image, "txt": b"\xff\xfe\xfd"},
        {"png": image},
        {"txt": "alone"},
    ]
    samples = dict(enumerate([*bad, {"png": image, "txt": "good"}]))
    pairs = read_pairs([str(make_shard(tmp_path / "0.tar", samples))], 32)
    assert pairs.keys == ("6",) and pairs.skipped == len(bad)


def test_nothing_to_read_is_an_error(make_shard, tmp_path):
    shard = str(make_shard(tmp_path / "0.tar", {"a": {"txt": "alone"}}))
    for read in (read_pairs, read_judged):
        with pytest.raises(ValueError, match=r"found none that fit \(1 skipped\)"):
            read([shard], 32)


def test_the_test_is_judged_on_squares(shard):
    judged = read_judged([shard], 16, limit=4)
    assert judged.images.dtype == torch.uint8 and judged.images.shape == (4, 3, 16, 16)
    assert np.array_equal(judged.images[3].numpy(), to_view(noise(20, 30, seed=3), 16))
    assert judged.owner.tolist() == [0, 0, 1, 1, 2, 2, 3, 3]


@pytest.mark.parametrize("shape", [(50, 81), (81, 50), (33, 33), (7, 9), (100, 31)])
def test_the_attackers_view_is_the_one_noise_is_made_for(shape):
    view = np.asarray(centre(Image.fromarray(noise(*shape)), 32)).transpose(2, 0, 1)
    assert np.array_equal(view, to_view(noise(*shape), 32))


def test_very_long_pictures_stay_small():
    pixels = noise(4, 4001)
    middle = np.asarray(centre(Image.fromarray(pixels[:, 1900:2101]), 8))
    assert centre(Image.fromarray(pixels), 8).size == (8, 8)
    assert np.abs(np.asarray(centre(Image.fromarray(pixels), 8)).astype(int) - middle).max() <= 1


def test_a_picture_without_a_caption_left_is_dropped():
    pairs = Pairs(("a", "b", "c"), [noise(2, 2, seed=i) for i in range(3)], (("1",), ("2",), ("3",)))
    changed = pairs.recaptioned([("x", "y"), (), ("z",)])
    assert changed.keys == ("a", "c") and changed.captions == (("x", "y"), ("z",))
    assert np.array_equal(changed.pictures[1], noise(2, 2, seed=2)) and len(pairs) == 3
