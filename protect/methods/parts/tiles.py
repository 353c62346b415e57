"""Textures for words: a small tile each, repeated over the whole picture; those of a caption's words are added up.

A texture is everywhere, so that a crop, a flip or a shift leaves it what it is; and a tile of some pixels is all
that has to be kept, whatever the size of the picture.
"""

import torch
from jaxtyping import Float
from torch import Tensor

from protect.methods.parts.noise import compose
from protect.methods.parts.trigger import Choice

Tiles = Float[Tensor, "position symbol 3 period period"]  # one for every word, in 255ths
CELL = 4  # a drawn tile is this many random pixels, then they repeat


def draw_tiles(positions: int, symbols: int, period: int, reach: float, random: torch.Generator) -> Tiles:
    """Random colours of full strength, repeating after 4 pixels."""
    cells = torch.randint(0, 2, (positions, symbols, 3, CELL, CELL), generator=random) * 2.0 - 1
    repeats = -(-period // CELL)
    return cells.repeat(1, 1, 1, repeats, repeats)[..., :period, :period] * reach


def superpose(tiles: Tiles, choice: Choice, size: int, reach: float) -> Tensor:
    """The noise of each image: the sum of its words' tiles, cut to the budget, over size x size pixels."""
    added = compose(tiles, choice).clamp(-reach, reach)
    repeats = -(-size // tiles.shape[-1])
    return added.repeat(1, 1, repeats, repeats)[..., :size, :size]


def deal(tiles: Tensor, positions: int, symbols: int, reach: float, random: torch.Generator) -> Tiles:
    """A key's own hand from a pool of textures (count, 3, period, period) made for a budget of 1.

    Which word gets which texture, its sign, its turn and its offset are drawn; none of them changes how soon a
    texture is read. Raises ValueError when the pool holds too few.
    """
    wanted = positions * symbols
    if wanted > len(tiles):
        raise ValueError(
            f"trigger_words x alphabet: expected at most the {len(tiles)} textures that are ready, got {wanted}; "
            "use fewer words, or --grade learned or drawn"
        )
    hand = tiles[torch.randperm(len(tiles), generator=random)[:wanted]] * reach
    return torch.stack([_vary(tile, random) for tile in hand]).view(positions, symbols, *tiles.shape[1:])


def _vary(tile: Tensor, random: torch.Generator) -> Tensor:
    sign, turn, down, across = torch.randint(0, 1 << 16, (4,), generator=random).tolist()
    tile = torch.rot90(tile, turn % 4, (1, 2)) * (1 if sign % 2 else -1)
    return tile.roll((down % tile.shape[1], across % tile.shape[2]), (1, 2))
