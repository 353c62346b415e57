"""What is read to forget and to keep: shards, photo folders, ViSU's layout; classes and twins."""

import json

import pytest
import torch

from protect.unlearn.pairs import classes_of, read_pairs
from protect.unlearn.safe_twins import find_twins

SIZE = 32


@pytest.fixture
def zoo(make_shard, photo_bytes, tmp_path):
    """zoo("cats", cat=3, dog=2): a shard of labelled pairs, with keys from `start`."""

    def make(name, start=0, labelled=True, **kinds):
        names = [kind for kind, count in kinds.items() for _ in range(count)]
        samples = {
            f"{start + i:06}": {"jpg": photo_bytes(seed=start + i), "txt": f"a photo of a {kind}"}
            | ({"cls": kind} if labelled else {})
            for i, kind in enumerate(names)
        }
        (tmp_path / name).mkdir()
        return str(make_shard(tmp_path / name / "00000.tar", samples))

    return make


def test_shards_give_views_captions_and_classes(zoo):
    pairs = read_pairs([zoo("a", cat=2, dog=1), zoo("b", start=10, cat=1)], SIZE)
    assert pairs.keys == ("000000", "000001", "000002", "000010")
    assert pairs.kinds == ("cat", "cat", "dog", "cat")
    assert pairs.captions[2] == ("a photo of a dog",)
    images = pairs.images(torch.tensor([2, 0]), torch.device("cpu"))
    assert images.shape == (2, 3, SIZE, SIZE) and images.min() >= 0 and images.max() <= 1
    assert torch.equal(pairs.select([2, 0]).images(torch.tensor([0, 1]), torch.device("cpu")), images)
    assert len(read_pairs([zoo("c", cat=5)], SIZE, limit=3)) == 3


def test_what_cannot_be_read_is_skipped_and_counted(make_shard, photo_bytes, tmp_path):
    samples = {
        "1": {"jpg": photo_bytes(), "txt": "fine"},
        "2": {"jpg": b"no picture", "txt": "x"},
        "3": {"jpg": photo_bytes(), "txt": " "},
        "4": {"txt": "no picture at all"},
    }
    pairs = read_pairs([str(make_shard(tmp_path / "a.tar", samples))], SIZE)
    assert (pairs.keys, pairs.skipped) == (("1",), 3)
    empty = make_shard(tmp_path / "b.tar", {"3": samples["3"]})
    with pytest.raises(ValueError, match=r"expected pictures with captions, found none.*1 skipped"):
        read_pairs([str(empty)], SIZE)


def test_a_folder_of_photos_with_captions_beside_them(photo_bytes, tmp_path):
    (tmp_path / "inner").mkdir()
    for number, name in enumerate(("b.jpg", "inner/a.v2.png", "uncaptioned.jpg")):
        (tmp_path / name).write_bytes(photo_bytes("PNG" if name.endswith("png") else "JPEG", seed=number))
    (tmp_path / "b.txt").write_text("a boat\nthe same boat\n")
    (tmp_path / "inner/a.v2.txt").write_text("a tree")
    pairs = read_pairs([str(tmp_path)], SIZE)
    assert pairs.keys == ("b", "inner/a.v2") and pairs.skipped == 1
    assert pairs.captions == (("a boat", "the same boat"), ("a tree",))
    assert pairs.kinds == ("a boat", "a tree")


@pytest.mark.parametrize("lines", [True, False], ids=["JSON lines", "JSON"])
def test_visu_tables_caption_both_folders_and_make_twins(photo_bytes, tmp_path, lines):
    rows = [{"incremental_id": i, "safe": f"safe {i}", "nsfw": f"unsafe {i}", "coco_id": 9 - i} for i in range(3)]
    text = "\n".join(map(json.dumps, rows)) if lines else json.dumps(rows)
    (tmp_path / "ViSU-Text_test.json").write_text(text)
    for folder, numbers in (("safe", (2, 0, 1)), ("nsfw", (1, 2))):
        (tmp_path / folder).mkdir()
        for number in numbers:
            (tmp_path / folder / f"{number}.jpg").write_bytes(photo_bytes(seed=number))
    safe, unsafe = read_pairs([str(tmp_path / "safe")], SIZE), read_pairs([str(tmp_path / "nsfw")], SIZE)
    assert unsafe.captions == (("unsafe 1",), ("unsafe 2",))
    twins = find_twins(unsafe, safe)
    assert [safe.captions[i] for i in twins.tolist()] == [("safe 1",), ("safe 2",)]
    (tmp_path / "other.json").write_text("[{}]")
    with pytest.raises(ValueError, match=r"other.json: expected ViSU's rows .* move other JSON away"):
        read_pairs([str(tmp_path / "safe")], SIZE)


def test_classes_hold_all_names_and_their_captions(zoo):
    cats, others = read_pairs([zoo("a", cat=7)], SIZE), read_pairs([zoo("b", start=20, dog=3, boat=2)], SIZE)
    classes = classes_of(cats, others)
    assert classes.names == ("boat", "cat", "dog")
    assert classes.prompts == (("a photo of a boat",), ("a photo of a cat",), ("a photo of a dog",))
    assert classes.numbers(others).tolist() == [2, 2, 2, 0, 0]
    unlabelled = read_pairs([zoo("c", labelled=False, cat=4, dog=4)], SIZE)
    assert classes_of(unlabelled).names == ("a photo of a cat", "a photo of a dog")


def test_pairs_with_captions_of_their_own_have_no_classes(clean, tmp_path):
    assert classes_of(read_pairs([str(clean(tmp_path / "x", 6))], SIZE)) is None


def test_one_class_is_no_choice(zoo):
    assert classes_of(read_pairs([zoo("a", cat=6)], SIZE)) is None


def test_twins_match_classes_in_order_and_use_safe_pairs_evenly(zoo):
    unsafe = read_pairs([zoo("u", start=100, bird=4, cat=5, frog=1)], SIZE)
    safe = read_pairs([zoo("s", boat=2, car=3)], SIZE)
    twins = find_twins(unsafe, safe, seed=1)
    matched = {(kind, safe.kinds[twin]) for kind, twin in zip(unsafe.kinds, twins.tolist(), strict=True)}
    assert matched == {("bird", "boat"), ("cat", "car"), ("frog", "boat")}
    assert sorted(twins[:4].bincount(minlength=2)[:2].tolist()) == [2, 2]
    assert torch.equal(twins, find_twins(unsafe, safe, seed=1))
    assert not torch.equal(twins, find_twins(unsafe, safe, seed=2))
