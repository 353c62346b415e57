import torch

from protect.verify.checks.linear_probe import Probe

RANDOM = torch.Generator().manual_seed(0)
PICTURES = torch.rand(80, 3, 16, 16, generator=RANDOM)
WORDS = [f"word{i % 4}" for i in range(80)]
PATTERNS = torch.rand(4, 3, 16, 16, generator=RANDOM) - 0.5


def test_a_pattern_that_goes_with_a_word_is_read():
    noisy = PICTURES + PATTERNS[torch.arange(80) % 4]
    assert Probe(noisy).accuracy(WORDS) > 0.9
    assert Probe(PICTURES).accuracy(WORDS) < 0.6


def test_it_is_judged_on_unseen_pictures():
    noisy = PICTURES.clone()
    noisy[:40] += PATTERNS[torch.arange(40) % 4]
    assert Probe(noisy).accuracy(WORDS) < 0.6


def test_without_two_words_of_several_pictures_there_is_nothing_to_ask():
    assert Probe(PICTURES).accuracy(["same"] * 80) is None
    assert Probe(PICTURES).accuracy([f"word{i}" for i in range(80)]) is None


def test_words_that_are_too_rare_are_left_out_of_both_halves():
    noisy = PICTURES + PATTERNS[torch.arange(80) % 4]
    words = [f"rare{i}" if i % 10 == 9 else word for i, word in enumerate(WORDS)]
    assert Probe(noisy).accuracy(words) > 0.9


def test_a_brightness_that_all_pictures_share_changes_nothing():
    noisy = PICTURES + PATTERNS[torch.arange(80) % 4]
    shared = torch.rand(3, 16, 16, generator=RANDOM)
    assert Probe(noisy + shared).accuracy(WORDS) == Probe(noisy).accuracy(WORDS)
