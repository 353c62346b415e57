"""Noise that says what the caption says: same words, same gratings; nothing planted, nothing an average shows."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from protect import gratings
from protect.alphabet import vetted_words
from protect.batches import Window
from protect.gratings import PERIOD, WAVES
from protect.methods import content
from protect.methods.content import Deal
from protect.protector import fit
from protect.settings import ContentSettings, FitSettings, NoiseSettings, Recipe, TriggerSettings
from protect.types import Batch

SIZE = 48
RECIPE = Recipe(FitSettings(size=SIZE, window=64, device="cpu"))
ANIMALS = ("cat", "dog", "horse", "frog", "bird", "deer")


def window_of(captions):
    window = Window(SIZE, len(captions))
    for number, caption in enumerate(captions):
        window.add(f"key{number}", np.full((3, SIZE, SIZE), 128, np.uint8), [caption])
    return window


def window_of_animals():
    captions = [f"a {first} and a {second} in a corner" for first in ANIMALS for second in ANIMALS]
    return window_of(captions)


def batch_of(*captions, start=0):
    lines = tuple((caption,) if isinstance(caption, str) else tuple(caption) for caption in captions)
    keys = tuple(f"new{start + number}" for number in range(len(captions)))
    return Batch(keys, torch.full((len(captions), 3, SIZE, SIZE), 0.5), lines)


@pytest.fixture(autouse=True)
def straight(monkeypatch):
    """Lines that do not wave, so that a grating is a single frequency."""
    monkeypatch.setattr(gratings, "WAVING", 0.0)


def heard(noise):
    """The gratings in each image, by their energy in the green channel."""
    energy = torch.fft.fft2(noise[:, 1].float()).abs() / SIZE**2
    times = SIZE // PERIOD
    found = torch.stack([energy[:, times * down, times * across] for down, across in WAVES], dim=1) > 1.0
    return [set(row.nonzero().flatten().tolist()) for row in found]


def test_captions_stay_untouched_and_every_telling_word_has_a_grating_of_its_own():
    made = fit(window_of_animals(), RECIPE)
    protection = made.protect(batch_of(*(f"a {animal} in a corner" for animal in ANIMALS)))
    assert protection.words == ((),) * 6
    found = heard(protection.noise)
    assert all(len(symbols) == 1 for symbols in found) and len(set.union(*found)) == 6


def test_pictures_that_say_the_same_have_the_same_gratings_at_other_phases():
    made = fit(window_of_animals(), RECIPE)
    noise = made.protect(batch_of("a cat and a dog in a corner", "the dog, the cat; corner", "a frog, a bird")).noise
    found = heard(noise)
    assert found[0] == found[1] and len(found[0]) == 2 and not found[0] & found[2]
    assert not torch.equal(noise[0], noise[1])


def test_the_mean_of_pictures_that_share_a_word_shows_nothing_of_it():
    made = fit(window_of_animals(), RECIPE)
    noise = made.protect(batch_of(*["a cat in a corner"] * 300)).noise.float()
    assert noise.mean(0).abs().max() < 0.2 * noise.abs().mean()


def test_what_every_caption_says_has_no_grating():
    made = fit(window_of_animals(), RECIPE)
    with_corner, without = made.protect(batch_of("a cat in a corner", "a cat")).noise
    assert heard(with_corner[None]) == heard(without[None])


def test_another_key_deals_other_gratings():
    captions = [f"a {animal}" for animal in ANIMALS]
    first, second = (
        heard(fit(window_of_animals(), replace(RECIPE, fit=replace(RECIPE.fit, seed=seed))).protect(
            batch_of(*captions)).noise)
        for seed in (0, 1)
    )  # fmt: skip
    assert first != second


def test_the_frequent_words_are_dealt_evenly():
    words = [f"word{number}" for number in range(2 * len(WAVES))]
    dealt = Deal.of(words, 3)
    assert sorted(dealt.known[word] for word in words[: len(WAVES)]) == list(range(len(WAVES)))
    assert dealt.of_words(words) == list(range(len(WAVES)))
    assert 0 <= dealt.of_words(["never counted"])[0] < len(WAVES)


def test_no_more_words_than_asked_for_get_a_grating():
    recipe = replace(RECIPE, content=ContentSettings(content_words=2))
    noise = fit(window_of_animals(), recipe).protect(batch_of("cat dog horse frog")).noise
    assert len(heard(noise)[0]) == 2


def test_planted_words_have_gratings_like_all_others():
    recipe = replace(RECIPE, trigger=TriggerSettings(trigger_words=2))
    protection = fit(window_of_animals(), recipe).protect(batch_of("a cat", "a cat"))
    assert all(len(words) == 2 for words in protection.words)
    said = [f"a cat {' '.join(words)}" for words in protection.words]
    again = fit(window_of_animals(), replace(RECIPE)).protect(batch_of(*said))
    assert heard(protection.noise) == heard(again.noise)


def test_a_picture_without_a_caption_gets_words_to_post_with_it():
    fitted = content.draw(RECIPE)
    protect = content.protector(fitted, RECIPE)
    protection = protect(batch_of("", "a cat"))
    assert len(protection.words[0]) == content.SUGGESTED and set(protection.words[0]) <= set(vetted_words())
    assert protection.words[1] == () and protection.noise[0].any()


def test_captions_that_say_nothing_still_have_noise():
    protection = content.protector(content.draw(RECIPE), RECIPE)(batch_of("of the", "?!"))
    assert protection.words == ((), ()) and protection.noise[0].any()


@pytest.mark.parametrize("epsilon", [0.0, 2.5, 8.0])
def test_the_noise_reaches_epsilon_and_not_further(epsilon):
    recipe = replace(RECIPE, noise=NoiseSettings(epsilon=epsilon))
    noise = fit(window_of_animals(), recipe).protect(batch_of("a cat and a dog")).noise
    assert noise.abs().max() == int(epsilon)


def test_a_fit_reads_a_bounded_number_of_captions():
    assert Recipe(FitSettings(window=100_000)).fit.window == 2048
    assert Recipe(FitSettings(method="mem", window=100_000)).fit.window == 100_000
