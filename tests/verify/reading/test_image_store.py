"""Pictures in a mapped file: what was put in comes out, here and in another process, and nothing is written back."""

import pickle

import numpy as np
import pytest

from protect.verify.reading.image_store import Pictures

SHAPES = [(4, 7), (1, 1), (9, 2), (5, 5)]


@pytest.fixture
def drawn():
    random = np.random.default_rng(0)
    return [random.integers(0, 256, (*shape, 3), dtype=np.uint8) for shape in SHAPES]


def same(kept, drawn):
    return len(kept) == len(drawn) and all(np.array_equal(a, b) for a, b in zip(kept, drawn, strict=True))


def test_pictures_of_any_size_come_back(drawn, tmp_path):
    kept = Pictures.write(tmp_path / "x", iter(drawn))
    assert same(kept, drawn)
    assert same(kept[1:3], drawn[1:3]) and np.array_equal(kept[-1], drawn[-1])
    with pytest.raises(IndexError):
        kept[len(drawn)]


def test_a_choice_copies_no_pixel_and_may_repeat(drawn, tmp_path):
    chosen = Pictures.write(tmp_path / "x", drawn).select([3, 0, 3])
    assert same(chosen, [drawn[3], drawn[0], drawn[3]])
    assert same(chosen.select([1]), [drawn[0]])
    assert [path.name for path in tmp_path.iterdir()] == ["x"]


def test_another_process_gets_the_name_of_the_file(drawn, tmp_path):
    kept = Pictures.write(tmp_path / "x", [np.zeros((500, 500, 3), np.uint8), *drawn])
    assert kept[0].shape == (500, 500, 3)  # mapped by now
    sent = pickle.dumps(kept)
    assert len(sent) < 2000 and same(pickle.loads(sent)[1:], drawn)


def test_drawing_on_a_picture_leaves_the_file_alone(drawn, tmp_path):
    kept = Pictures.write(tmp_path / "x", drawn)
    kept[0][:] = 0
    assert same(pickle.loads(pickle.dumps(kept)), drawn)
