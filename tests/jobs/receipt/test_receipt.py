"""A receipt of photos and of shards: what is kept, by which coin, and what a model says of it."""

import io
import json

import numpy as np
import pytest
import torch
from PIL import Image

from protect.clip.models import load_encoder
from protect.data.photo_files import read_still
from protect.data.shards import image_member, read_samples
from protect.jobs.receipt.asking import differences
from protect.jobs.receipt.coins import Coins, own_coins
from protect.jobs.receipt.store import TwinPair, read_pairs, seen
from protect.unlearn.head import Clip


def pixels(image):
    return np.asarray(image).astype(int)


@pytest.fixture
def photos(tmp_path, photo_bytes):
    root = tmp_path / "in"
    root.mkdir()
    for number in range(6):
        (root / f"{number}.jpg").write_bytes(photo_bytes(seed=number, size=(96, 80)))
        (root / f"{number}.txt").write_text(f"a boat with {number} sails")
    return root


@pytest.fixture
def shards(tmp_path, photo_bytes, make_shard):
    samples = {f"{n:04}": {"jpg": photo_bytes(seed=n), "txt": f"a boat with {n} sails"} for n in range(8)}
    (tmp_path / "in").mkdir()
    return make_shard(tmp_path / "in/00000.tar", samples)


def phrases_of(caption):
    return sorted(caption.replace(".", ",").casefold().split(", "))


def test_photos_keep_the_twin_that_was_not_published(command, photos, tmp_path):
    ran = command("photos", photos, tmp_path / "out", "--seed", "7", "-q", "--receipt", tmp_path / "receipt")
    assert ran.code == 0
    pairs = {pair.name: pair for pair in read_pairs(tmp_path / "receipt")}
    assert set(pairs) == {f"{n}.jpg" for n in range(6)}
    for name, pair in pairs.items():
        there = seen((tmp_path / "out" / name).read_bytes(), 10**6)
        published, held = pair.pictures[pair.published], pair.pictures[1 - pair.published]
        assert (pixels(published) == pixels(there)).all() and (pixels(held) != pixels(there)).any()
        written = (tmp_path / "out" / name).with_suffix(".txt").read_text().strip()
        assert pair.captions[pair.published] == written
        assert phrases_of(pair.captions[0]) == phrases_of(pair.captions[1])
    assert (tmp_path / "receipt/coins.key").stat().st_mode & 0o077 == 0


def test_a_run_that_goes_on_keeps_its_coins_and_pairs(command, photos, tmp_path):
    ask = ("photos", photos, tmp_path / "out", "--seed", "7", "-q", "--receipt", tmp_path / "receipt")
    command(*ask)
    before = {path: path.read_bytes() for path in (tmp_path / "receipt").rglob("*.*")}
    out = {path.name: path.read_bytes() for path in (tmp_path / "out").glob("*.jpg")}
    command(*ask)
    assert before == {path: path.read_bytes() for path in (tmp_path / "receipt").rglob("*.*")}
    assert out == {path.name: path.read_bytes() for path in (tmp_path / "out").glob("*.jpg")}
    command(*ask, "--strength", "strong")  # other files: the receipt has their twins
    for pair in read_pairs(tmp_path / "receipt"):
        there = seen((tmp_path / "out" / pair.name).read_bytes(), 10**6)
        assert (pixels(pair.pictures[pair.published]) == pixels(there)).all()


def test_a_dry_run_draws_no_coins(command, photos, tmp_path):
    command("photos", photos, tmp_path / "out", "--dry-run", "--receipt", tmp_path / "receipt")
    assert not (tmp_path / "receipt").exists()


def test_a_share_of_the_photos_has_twins_and_the_others_are_as_without(command, photos, tmp_path):
    command("photos", photos, tmp_path / "plain", "--seed", "7", "-q")
    some = ("--receipt", tmp_path / "receipt", "--receipt-share", "0.5")
    command("photos", photos, tmp_path / "out", "--seed", "7", "-q", *some)
    paths = (tmp_path / "receipt/pairs").glob("*.zip")
    names = {pair.name for pair in read_pairs(tmp_path / "receipt")} if list(paths) else set()
    for number in range(6):
        name = f"{number}.jpg"
        same = (tmp_path / "out" / name).read_bytes() == (tmp_path / "plain" / name).read_bytes()
        assert same == (name not in names)


def test_shards_keep_the_twin_that_was_not_published(command, shards, tmp_path):
    out, receipt = tmp_path / "out", tmp_path / "receipt"
    ran = command("shards", shards, out, "--method", "random", "-q", "--receipt", receipt)
    assert ran.code == 0
    pairs = {pair.name: pair for pair in read_pairs(receipt)}
    published = {sample.key: sample for sample in read_samples(out / "00000.tar")}
    assert set(pairs) == set(published)
    for key, pair in pairs.items():
        there = Image.open(io.BytesIO(image_member(published[key]).data)).convert("RGB")
        assert (pixels(pair.pictures[pair.published]) == pixels(there)).all()
        assert (pixels(pair.pictures[1 - pair.published]) != pixels(there)).any()
        [text] = [member.data.decode() for member in published[key].members if member.name.endswith("txt")]
        assert pair.captions[pair.published] == text.strip() != pair.captions[1 - pair.published]


def test_coins_are_fair_and_each_receipt_has_its_own(tmp_path):
    one, two = own_coins(tmp_path / "a", 0.3), own_coins(tmp_path / "b", 0.3)
    keys = [str(n) for n in range(2000)]
    assert 850 < sum(one.published(key) for key in keys) < 1150
    assert 500 < sum(one.has_twin(key) for key in keys) < 700
    assert [one.published(key) for key in keys] != [two.published(key) for key in keys]
    assert own_coins(tmp_path / "a", 0.3) == one
    (tmp_path / "a/coins.key").write_text("no key")
    with pytest.raises(ValueError, match="expected 64 hexadecimal digits"):
        own_coins(tmp_path / "a", 0.3)


def test_a_model_that_prefers_a_twin_is_asked_so_that_the_coin_decides_the_sign(tmp_path, photo_bytes):
    model = Clip(load_encoder("tiny-resnet", torch.device("cpu"), size=64))
    pictures = [Image.open(io.BytesIO(photo_bytes(seed=n, size=(64, 64)))).convert("RGB") for n in range(6)]
    pairs = [
        TwinPair(str(n), (pictures[2 * n], pictures[2 * n + 1]), (f"boat {n}", f"{n} boat"), 0) for n in range(3)
    ]
    turned = [TwinPair(pair.name, pair.pictures, pair.captions, 1) for pair in pairs]
    assert differences(model, pairs) == pytest.approx([-value for value in differences(model, turned)])


def test_an_untrained_model_is_innocent_and_what_is_no_receipt_is_refused(command, photos, tmp_path):
    from safetensors.torch import save_file

    receipt = tmp_path / "receipt"
    command("photos", photos, tmp_path / "out", "--seed", "7", "-q", "--receipt", receipt)
    towers = load_encoder("tiny-resnet", torch.device("cpu"), size=64)
    weights = {name: value.contiguous() for name, value in towers.model.state_dict().items()}
    save_file(weights, tmp_path / "model.safetensors")
    ask = ("audit", "tiny-resnet", "--weights", tmp_path / "model.safetensors", "--size", "64", "--receipt")
    found = json.loads(command(*ask, receipt, "--json").out)
    assert found["evidence"]["pairs"] == 6 and found["evidence"]["p_rank"] > 1 / 64 - 1e-3
    assert "p-value" in command(*ask, receipt).out
    none = command(*ask, photos)
    assert none.code == 2 and "found no pairs" in none.err
    assert command("audit", "tiny-resnet", "--receipt", receipt).code == 2
    next((receipt / "pairs").glob("*.zip")).write_bytes(b"PK")
    broken = command(*ask, receipt)
    assert broken.code == 2 and "restore the receipt" in broken.err


def test_coins_know_nothing_of_the_share():
    keys = [str(n) for n in range(100)]
    some, everyone = Coins(b"s", 0.5), Coins(b"s", 1.0)
    assert [some.published(key) for key in keys] == [everyone.published(key) for key in keys]


def test_a_large_file_is_kept_as_a_model_sees_it(photo_bytes, tmp_path):
    path = tmp_path / "x.png"
    path.write_bytes(photo_bytes("PNG", "RGBA", size=(900, 800)))
    assert seen(path.read_bytes(), 10**7).size == (432, 384) and read_still(path, 10**7).image.mode == "RGBA"
