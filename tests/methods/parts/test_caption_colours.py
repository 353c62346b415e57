"""Captions predict coarse colours; the noise turns that round, inside the budget, whatever the picture's shape."""

import numpy as np
import torch
import torch.nn.functional as F

from protect.data.window import Window
from protect.methods.parts.caption_colours import CELLS, CaptionColours, cells_of, nearest_in_box, weighted

SIZE = 32
SCENES = {"meadow": (70, 110, 60), "snow": (200, 205, 215), "night": (30, 30, 60), "beach": (180, 160, 120)}


def picture(scene, random):
    """The scene's colour, off by 20 each time, with a lower half that is darker."""
    colour = np.array(SCENES[scene])[:, None, None] + random.normal(0, 20, (3, 1, 1)) + np.zeros((3, SIZE, SIZE))
    colour[:, SIZE // 2 :] -= 25
    return (colour + random.normal(0, 5, colour.shape)).clip(0, 255).astype(np.uint8)


def window_of(pairs=200):
    random, window = np.random.default_rng(0), Window(SIZE, pairs)
    for number in range(pairs):
        scene = list(SCENES)[number % 4]
        words = f"a {['dog', 'child', 'horse'][number % 3]} in the {scene}"
        window.add(str(number), picture(scene, random), [words, f"the {scene} again"])
    return window


def fitted():
    return CaptionColours.of(window_of(), 64)


def test_captions_predict_the_colours_of_what_they_name():
    colours = fitted()
    expected = colours.expected([["snow"], ["night"], ["a dog"]]).mean(dim=1)
    mean = np.mean(list(SCENES.values()), axis=0)
    assert {"snow", "night", "dog"} <= set(colours.words)
    for row, scene in ((0, "snow"), (1, "night")):
        away = torch.tensor(np.array(SCENES[scene]) - mean, dtype=torch.float32)
        assert F.cosine_similarity(expected[row], away, dim=0) > 0.98 and expected[row].norm() > 0.7 * away.norm()
    assert expected[2].abs().max() < 15


def test_noise_turns_round_what_captions_tell_of_colours():
    colours, window = fitted(), window_of()
    batch = window.batch(torch.arange(len(window)))
    noise = colours.reversed(batch.captions, SIZE, SIZE, 8.0)
    assert noise.shape == batch.images.shape and noise.abs().max() <= 8 and noise.abs().mean() > 4
    expected = colours.expected(batch.captions).flatten()
    change = cells_of(noise / 255).flatten()
    assert torch.corrcoef(torch.stack([expected, change]))[0, 1] < -0.4


def test_the_same_words_meet_the_same_noise_and_order_does_not_matter():
    colours = fitted()
    one, two, other = colours.reversed([["Snow, a dog."], ["a dog in SNOW"], ["night"]], SIZE, SIZE, 8.0)
    assert torch.equal(one, two) and not torch.equal(one, other)
    alone = colours.reversed([["night"]], SIZE, SIZE, 8.0)[0]
    assert torch.equal(alone, other)


def test_a_picture_of_any_shape_is_covered_and_its_middle_is_what_the_fit_saw():
    colours = fitted()
    square = colours.reversed([["snow"]], SIZE, SIZE, 8.0)[0]
    wide = colours.reversed([["snow"]], SIZE + 4, SIZE + 20, 8.0)[0]
    assert torch.equal(wide[:, 2:-2, 10:-10], square)
    assert torch.equal(wide[:, 2:-2, 0], square[:, :, 0]) and torch.equal(wide[:, -1], wide[:, -3])
    assert colours.reversed([["snow"]], 16, 16, 8.0).shape == (1, 3, 16, 16)


def test_captions_without_a_known_word_have_next_to_no_vector():
    colours = fitted()
    assert not weighted([["xyz"], []], colours.words, colours.rarity).any()
    lengths = weighted([["snow dog", "snow"]], colours.words, colours.rarity).norm(dim=1)
    torch.testing.assert_close(lengths, torch.ones(1))


def test_what_is_kept_says_the_same():
    colours = fitted()
    again = CaptionColours.from_kept(colours.tensors(), list(colours.words), colours.side)
    lines = [["snow and a dog"], ["night"]]
    assert torch.equal(again.reversed(lines, SIZE, SIZE, 8.0), colours.reversed(lines, SIZE, SIZE, 8.0))


def test_the_nearest_colour_in_the_box_is_the_nearest():
    random = torch.Generator().manual_seed(0)
    root = torch.randn(3, 3, generator=random)
    metric = root @ root.T / 3 + torch.eye(3) / 3
    goal = 20 * torch.randn(6, 1, 3, generator=random)
    nearest = nearest_in_box(goal, metric, 8.0)
    grid = torch.cartesian_prod(*[torch.linspace(-8, 8, 33)] * 3)
    for row in range(6):
        away = grid - goal[row]
        least = torch.einsum("ni,ij,nj->n", away, metric, away).min()
        mine = nearest[row, 0] - goal[row, 0]
        assert mine @ metric @ mine <= least + 1e-2


def test_no_caption_predicts_more_cells_than_there_are():
    assert fitted().expected([["snow"]]).shape == (1, CELLS * CELLS, 3)
