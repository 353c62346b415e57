import torch

from protect.verify.checks.linear_probe import probe

RANDOM = torch.Generator().manual_seed(0)
PICTURES = torch.rand(80, 3, 16, 16, generator=RANDOM)
WORDS = [f"word{i % 4}" for i in range(80)]
PATTERNS = torch.rand(4, 3, 16, 16, generator=RANDOM) - 0.5


def test_a_pattern_that_goes_with_a_word_is_read():
    noisy = PICTURES + PATTERNS[torch.arange(80) % 4]
    assert probe(noisy, WORDS) > 0.9
    assert probe(PICTURES, WORDS) < 0.6


def test_it_is_judged_on_unseen_pictures():
    noisy = PICTURES.clone()
    noisy[:40] += PATTERNS[torch.arange(40) % 4]
    assert probe(noisy, WORDS) < 0.6


def test_without_two_words_of_several_pictures_there_is_nothing_to_ask():
    assert probe(PICTURES, ["same"] * 80) is None
    assert probe(PICTURES, [f"word{i}" for i in range(80)]) is None
