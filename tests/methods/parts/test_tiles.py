"""Textures of words: everywhere alike, within the budget, dealt by the key."""

import hashlib
import json
from pathlib import Path

import pytest
import torch

from protect.methods import code
from protect.methods.parts.tiles import deal, draw_tiles, superpose
from protect.seeds import generator

POOL = torch.rand(6, 3, 8, 8, generator=generator(0, "pool")) * 2 - 1


def test_drawn_tiles_are_of_full_strength_and_repeat_after_four_pixels():
    tiles = draw_tiles(2, 3, 8, 5.0, generator(1))
    assert tiles.shape == (2, 3, 3, 8, 8)
    assert set(tiles.unique().tolist()) == {-5.0, 5.0}
    assert torch.equal(tiles[..., :4, :4], tiles[..., 4:, 4:])
    assert len({tuple(tile.flatten().tolist()) for tile in tiles.flatten(0, 1)}) == 6


@pytest.mark.parametrize("size", [8, 20, 64])
def test_noise_is_the_clipped_sum_of_the_chosen_tiles_everywhere(size):
    tiles = draw_tiles(3, 4, 8, 6.0, generator(2)) / 2
    choice = torch.tensor([[0, 1, 2], [3, 3, 3]])
    noise = superpose(tiles, choice, size, 6.0)
    assert noise.shape == (2, 3, size, size)
    for y, x in ((0, 0), (size - 1, size - 1), (size // 2, 3)):
        for row, symbols in enumerate(choice.tolist()):
            added = sum(tiles[position, symbol, :, y % 8, x % 8] for position, symbol in enumerate(symbols))
            assert torch.equal(noise[row, :, y, x], added.clamp(-6, 6))


def test_a_key_deals_its_own_hand_and_the_same_one_again():
    first, again, other = (deal(POOL, 2, 3, 4.0, generator(key)) for key in (1, 1, 2))
    assert torch.equal(first, again) and not torch.equal(first, other)


def test_every_dealt_tile_is_one_of_the_pool_turned_shifted_or_inverted():
    for tile in deal(POOL, 2, 3, 1.0, generator(3)).flatten(0, 1):
        variants = (
            torch.rot90(sign * texture, turn, (1, 2)).roll((down, across), (1, 2))
            for texture in POOL for sign in (1, -1) for turn in range(4) for down in range(8) for across in range(8)
        )  # fmt: skip
        assert any(torch.equal(tile, variant) for variant in variants)


def test_more_words_than_the_pool_has_are_refused():
    with pytest.raises(ValueError, match="expected at most the 6 textures that are ready, got 8; use fewer words"):
        deal(POOL, 2, 4, 1.0, generator(0))


def test_the_shipped_pool_is_the_one_its_record_tells_of():
    folder = Path(code.__file__).parents[1] / "ready"
    about = json.loads((folder / "about.json").read_text())
    assert hashlib.sha256((folder / "tiles.safetensors").read_bytes()).hexdigest() == about["sha256"]
    assert code.ready_tiles().shape == (24, 3, about["recipe"]["code"]["period"], about["recipe"]["code"]["period"])
    assert code.ready_tiles().abs().max() <= 1
    assert "python tools/make_ready.py" in about["command"]
