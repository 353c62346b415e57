"""Noise kept in a file: rows come back, copies are whole and private, short files are noticed."""

import stat

import pytest
import torch

from protect.data.noise_store import NoiseStore


def some(rows, seed=0):
    return torch.randint(-128, 128, (rows, 3, 4, 4), generator=torch.Generator().manual_seed(seed)).to(torch.int8)


@pytest.fixture
def kept(tmp_path):
    kept = NoiseStore.create(tmp_path / "noise", 5, 4)
    kept.write(torch.tensor([3, 1]), some(2))
    return kept


def test_rows_come_back_and_others_stay_zero(kept):
    assert torch.equal(kept.read(torch.tensor([1, 3, 1])), some(2)[[1, 0, 1]])
    assert not kept.read(torch.tensor([0, 2, 4])).any()
    assert len(kept) == 5 and kept.path.stat().st_size == 5 * 48


def test_a_copy_holds_the_rows_and_nobody_else_reads_it(kept, tmp_path):
    kept.copy(tmp_path / "copy")
    copy = NoiseStore(tmp_path / "copy", 5, 4)
    assert torch.equal(copy.read(torch.arange(5)), kept.read(torch.arange(5)))
    assert copy.path.stat().st_size == 5 * 48
    assert stat.S_IMODE(copy.path.stat().st_mode) == 0o600
    assert copy.digest() == kept.digest()


def test_a_copy_of_fewer_rows_is_told_apart(kept, tmp_path):
    two = NoiseStore(kept.path, 2, 4)
    two.copy(tmp_path / "copy")
    assert (tmp_path / "copy").stat().st_size == 2 * 48
    assert NoiseStore(tmp_path / "copy", 2, 4).digest() == two.digest() != kept.digest()


def test_the_digest_answers_for_every_byte(kept):
    before = kept.digest()
    noise = kept.read(torch.tensor([4]))
    noise[0, 2, 3, 3] = 1
    kept.write(torch.tensor([4]), noise)
    assert kept.digest() != before


def test_a_file_that_is_too_short_is_noticed(kept):
    with kept.path.open("r+b") as file:
        file.truncate(100)
    with pytest.raises(ValueError, match="expected 240 bytes of noise, found 100"):
        kept.digest()


def test_the_file_lives_as_long_as_its_owner(tmp_path):
    class Owner:
        pass

    owner = Owner()
    kept = NoiseStore.create(tmp_path / "noise", 1, 4).owned(owner)
    assert kept._owner is owner
