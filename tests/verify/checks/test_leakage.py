import io
import json

import numpy as np
import pytest
from PIL import Image

from protect.verify.checks.leakage import leaks
from protect.verify.reading.matched_sample import sample


def picture(seed):
    """A picture unlike the others, as pixels."""
    small = np.random.default_rng(seed).integers(20, 236, (4, 5, 3), dtype=np.uint8)
    return np.asarray(Image.fromarray(small).resize((80, 64), Image.Resampling.BICUBIC))


def noisy(seed):
    tiles = np.kron(np.random.default_rng(100 + seed).choice([-12, 12], (8, 10, 1)), np.ones((8, 8, 1), int))
    return (picture(seed) + tiles).clip(0, 255).astype(np.uint8)


def file(pixels, kind="PNG", **options):
    data = io.BytesIO()
    Image.fromarray(pixels).save(data, kind, **options)
    return data.getvalue()


@pytest.fixture
def sets(make_shard, tmp_path):
    """sets(**further members of sample 0): clean and published folders of four samples."""

    def make(**further):
        (tmp_path / "clean").mkdir()
        (tmp_path / "out").mkdir()
        clean = {str(i): {"png": file(picture(i)), "txt": f"harbour {i}"} for i in range(4)}
        published = {str(i): {"png": file(noisy(i)), "txt": f"zebra harbour {i}"} for i in range(4)}
        published["0"] |= further
        make_shard(tmp_path / "clean" / "0.tar", clean)
        make_shard(tmp_path / "out" / "0.tar", published)
        return tmp_path / "clean", tmp_path / "out"

    return make


def found(folders, changed=True):
    return leaks(sample(str(folders[0]), str(folders[1]), 100), changed)


def test_clean_work_has_no_leaks(sets):
    assert found(sets()) == []


def test_clean_captions_and_links_are_told_once_a_kind(sets):
    fields = json.dumps({"alt_text": "harbour 0", "url": "x://y"})
    lines = found(sets(json=fields))
    assert any(line.startswith("link: field url, 1 times, first in 0.tar 0") for line in lines)
    assert any(line.startswith("caption: a clean caption in alt_text") for line in lines)
    assert len(lines) == 2


def test_captions_as_they_were_are_no_leak_where_none_were_changed(sets):
    folders = sets(json=json.dumps({"alt_text": "harbour 0"}))
    assert found(folders, changed=False) == []


def test_a_clean_copy_beside_the_protected_picture_is_found(sets):
    folders = sets(webp=file(picture(0), "WEBP", quality=80))
    (line,) = found(folders)
    assert line == "clean picture: the clean picture, without its protection, 1 times, first in 0.tar 0"


def test_a_clean_copy_in_the_folder_is_found_and_others_are_not(sets):
    folders = sets()
    (folders[1] / "old").mkdir()
    (folders[1] / "_protect").mkdir()
    small = np.asarray(Image.fromarray(picture(2)).resize((70, 56)))
    (folders[1] / "old" / "copy.jpg").write_bytes(file(small, "JPEG", quality=90))
    (folders[1] / "sheet.png").write_bytes(file(picture(77)))
    (folders[1] / "again.png").write_bytes(file(noisy(1)))
    (folders[1] / "broken.jpg").write_bytes(b"no picture")
    (folders[1] / "_protect" / "own.png").write_bytes(file(picture(1)))
    (line,) = found(folders)
    assert line == "clean picture: the clean picture of 2, without its protection, 1 times, first in out old/copy"


def test_files_that_were_never_protected_are_leaks(sets):
    clean, _ = sets()
    lines = found((clean, clean), changed=False)
    assert lines == ["4 of 4 pictures are the clean ones", "4 of 4 captions are the clean ones"]


def test_one_pair_that_was_never_protected_is_a_leak(sets):
    lines = found(sets(png=file(picture(0)), txt="harbour 0"))
    assert lines == ["1 of 4 pictures are the clean ones", "1 of 4 captions are the clean ones"]


@pytest.mark.parametrize("options", [{}, {"quality": 70}, {"quality": 95, "subsampling": 0}])
def test_a_clean_picture_merely_written_again_is_a_leak(sets, tmp_path, make_shard, options):
    clean, out = sets()
    pairs = {str(i): {"jpg": file(picture(i), "JPEG", **options), "txt": f"zebra harbour {i}"} for i in range(4)}
    make_shard(out / "0.tar", pairs)
    assert found((clean, out)) == ["4 of 4 pictures are the clean ones"]


def test_photo_folders_are_scanned_too(tmp_path):
    for name, make, words in (("clean", picture, ""), ("out", noisy, "zebra ")):
        (tmp_path / name / "trip").mkdir(parents=True)
        for i in range(3):
            (tmp_path / name / "trip" / f"{i}.JPG").write_bytes(file(make(i), "JPEG", quality=95))
            (tmp_path / name / "trip" / f"{i}.txt").write_text(f"{words}harbour {i}")
    folders = (tmp_path / "clean", tmp_path / "out")
    assert found(folders) == []
    (tmp_path / "out" / "trip" / "1.json").write_text(json.dumps({"source_url": "x://y"}))
    (tmp_path / "out" / "trip" / "copy.png").write_bytes(file(picture(1)))
    lines = found(folders)
    assert any(line.startswith("link: field source_url, 1 times, first in out trip/1") for line in lines)
    assert any(line.startswith("clean picture:") and line.endswith("trip/copy") for line in lines) and len(lines) == 2
