"""The window: pairs come back as they went in, epochs are complete, nothing stays on the disk."""

import gc
import tempfile

import numpy as np
import pytest
import torch

from protect.data.window import Window, to_images

SIZE = 5


def view(number):
    return np.random.default_rng(number).integers(0, 256, (3, SIZE, SIZE), dtype=np.uint8)


def filled(pairs, room=None):
    window = Window(SIZE, room or pairs)
    for number in range(pairs):
        window.add(f"key{number}", view(number), [f"caption {number}", f"again {number}"])
    return window


def random(seed=0):
    return torch.Generator().manual_seed(seed)


@pytest.fixture
def scratch(tmp_path, monkeypatch):
    """An empty folder that temporary files go to."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


def test_pairs_come_back_by_number():
    batch = filled(4).batch(torch.tensor([2, 0]))
    assert batch.keys == ("key2", "key0")
    assert batch.captions == (("caption 2", "again 2"), ("caption 0", "again 0"))
    assert batch.images.dtype == torch.float32
    assert torch.equal((batch.images * 255).round().byte(), torch.from_numpy(np.stack([view(2), view(0)])))


def test_pixels_become_floats_from_zero_to_one():
    pixels = torch.tensor([0, 51, 255], dtype=torch.uint8).view(1, 3, 1, 1)
    assert to_images(pixels).flatten().tolist() == pytest.approx([0, 0.2, 1])


def test_noise_is_zero_at_first_and_comes_back_for_its_rows_only():
    window = filled(4)
    assert not window.noise(torch.arange(4)).any()
    noise = torch.randint(-128, 128, (2, 3, SIZE, SIZE), generator=random()).to(torch.int8)
    window.store_noise(torch.tensor([3, 1]), noise)
    assert torch.equal(window.noise(torch.tensor([3, 1])), noise.float())
    assert not window.noise(torch.tensor([0, 2])).any()
    assert torch.equal(window.noise(torch.tensor([1, 3, 1])), noise[[1, 0, 1]].float())


def test_what_a_batch_holds_is_a_copy():
    window = filled(2)
    window.batch(torch.arange(2)).images.zero_()
    window.noise(torch.arange(2)).add_(5)
    assert window.batch(torch.arange(2)).images.any()
    assert not window.noise(torch.arange(2)).any()


def test_full_and_length_count_pairs():
    window = filled(2, room=3)
    assert (len(window), window.full) == (2, False)
    window.add("last", view(9), ["caption"])
    assert (len(window), window.full) == (3, True)
    with pytest.raises(IndexError):
        window.add("too many", view(9), ["caption"])
    assert len(window) == 3


@pytest.mark.parametrize(("pairs", "sizes"), [(8, [4, 4]), (7, [4, 3]), (9, [4, 5]), (2, [2]), (1, [1]), (5, [5])])
def test_epoch_covers_every_pair_once_and_leaves_none_alone(pairs, sizes):
    batches = list(filled(pairs).epoch(4, random()))
    assert [len(rows) for rows in batches] == sizes
    assert sorted(torch.cat(batches).tolist()) == list(range(pairs))


def test_order_is_random_and_repeats_with_the_generator():
    window = filled(32)
    first, again, other = (torch.cat(list(window.epoch(4, random(seed)))) for seed in (0, 0, 1))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    assert not torch.equal(first, torch.arange(32))


def test_files_vanish_with_the_window(scratch):
    window = filled(3)
    window.batch(torch.arange(3)), window.noise(torch.arange(3))
    (folder,) = scratch.iterdir()
    assert sum(file.stat().st_size for file in folder.iterdir()) == 2 * 3 * 3 * SIZE * SIZE
    del window
    gc.collect()
    assert not list(scratch.iterdir())


def test_fingerprint_answers_for_keys_captions_and_pixels_only():
    same = filled(3)
    assert same.fingerprint() == filled(3, room=10).fingerprint()
    same.store_noise(torch.arange(3), torch.ones(3, 3, SIZE, SIZE, dtype=torch.int8))
    assert same.fingerprint() == filled(3).fingerprint()

    def differs(key="key2", number=2, captions=("caption 2", "again 2")):
        window = filled(2, room=3)
        window.add(key, view(number), captions)
        return window.fingerprint() != filled(3).fingerprint()

    assert not differs()
    assert differs(key="key3")
    assert differs(number=3)
    assert differs(captions=("caption 2",))


def test_a_window_without_bounds_takes_all_pairs():
    window = Window(SIZE)
    for number in range(300):
        assert not window.full
        window.add(f"key{number}", view(number), ["caption"])
    assert torch.equal(window.batch(torch.tensor([299])).images[0], to_images(torch.from_numpy(view(299)[None]))[0])
    window.store_noise(torch.tensor([299]), torch.ones(1, 3, SIZE, SIZE, dtype=torch.int8))
    assert len(window.stored_noise()) == 300 and window.noise(torch.tensor([299])).all()
