import pytest

from protect.verify.reading import matched_sample as sampling
from protect.verify.reading.matched_sample import sample


def test_equal_keys_are_found_in_other_shards(make_shard, pair, tmp_path):
    (tmp_path / "clean").mkdir()
    (tmp_path / "out").mkdir()
    make_shard(tmp_path / "clean" / "a.tar", {str(i): pair(i) for i in range(9)})
    make_shard(tmp_path / "out" / "0.tar", {"7": pair(7), "3": pair(3), "new": pair(0)})
    make_shard(tmp_path / "out" / "1.tar", {"1": pair(1)})
    found = sample(str(tmp_path / "clean"), str(tmp_path / "out"), 10)
    assert [find.key for find in found.published] == ["7", "3", "1"] == [find.key for find in found.clean]
    assert [path.name for path in found.files] == ["0.tar", "1.tar"] and (found.total, found.alone) == (2, 1)


def test_enough_is_enough(clean, tmp_path, monkeypatch):
    folder = str(clean(tmp_path / "x", 3, 4))
    found = sample(folder, folder, 2)
    assert len(found.published) == 2 and len(found.files) == 1 and found.total == 2
    monkeypatch.setattr(sampling, "MOST_BYTES", len(found.published[0].picture) * 3 // 2)
    assert len(sample(folder, folder, 7).published) == 2


def test_sets_that_do_not_belong_together_are_an_error(clean, make_shard, pair, tmp_path):
    folder = clean(tmp_path / "x", 3)
    (tmp_path / "y").mkdir()
    make_shard(tmp_path / "y" / "0.tar", {"other": pair(1)})
    with pytest.raises(ValueError, match="found none among 1; name the clean data that was protected"):
        sample(str(folder), str(tmp_path / "y"), 5)


def test_photos_without_any_caption_are_an_error_that_says_where_captions_are_read(tmp_path):
    (tmp_path / "photo.png").write_bytes(b"not looked at")
    with pytest.raises(ValueError, match=r"expected pictures with captions, found none; .* EXIF, XMP or IPTC"):
        sample(str(tmp_path), str(tmp_path), 5)
