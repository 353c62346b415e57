"""Texture encodes the caption, words name what the picture looks like; neither depends on the other."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from protect.data.window import Window
from protect.methods import instant
from protect.methods.instant import Directions
from protect.methods.instant_settings import ATTRIBUTE_WORDS, InstantSettings
from protect.methods.parts.image_stats import plain_words
from protect.methods.parts.oriented_bands import DIRECTIONS, textures
from protect.methods.parts.wordlist import vetted_words
from protect.methods.protector import Protector, fit
from protect.methods.recipe import Recipe
from protect.seeds import derive
from protect.settings.recipe import FitSettings, NoiseSettings, TriggerSettings
from protect.types import Batch

SIZE = 48
RECIPE = Recipe(FitSettings(method="instant", size=SIZE, window=64))
CPU = torch.device("cpu")
LOUDER = 1.6  # times the energy; what leaks from a neighbouring direction stays below
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
    return Batch(keys, torch.stack([picture(key) for key in keys]), lines)


def picture(key):
    """A gray picture that has texture everywhere and in every direction."""
    gray = 128 + 25 * np.random.default_rng(derive(0, key)).standard_normal((SIZE, SIZE))
    return torch.from_numpy(gray.clip(0, 255).round()).float().expand(3, -1, -1) / 255


def energies(gray):
    return np.array([np.mean(np.abs(texture) ** 2) for texture in textures(gray)])


def heard(protection):
    """The directions that are louder in each picture than they were."""
    found = []
    for key, noise in zip(protection.keys, protection.noise.numpy(), strict=True):
        clean = picture(key)[0].numpy() * 255
        ratio = energies(clean + noise[0]) / energies(clean)
        found.append(set(np.flatnonzero(ratio > LOUDER).tolist()))
    return found


def test_every_keyword_has_a_direction_of_its_own():
    made = fit(window_of_animals(), RECIPE)
    protection = made.protect(batch_of(*(f"a {animal} in a corner" for animal in ANIMALS)))
    found = heard(protection)
    assert all(len(symbols) == 1 for symbols in found) and len(set.union(*found)) == 6


def test_pictures_that_say_the_same_have_the_same_directions_and_other_lines():
    made = fit(window_of_animals(), RECIPE)
    protection = made.protect(batch_of("a cat and a dog in a corner", "the dog, the cat; corner", "a frog, a bird"))
    found = heard(protection)
    assert found[0] == found[1] and len(found[0]) == 2 and not found[0] & found[2]
    together = torch.stack(list(protection.noise[:2, 0].flatten(1).float()))
    assert torch.corrcoef(together)[0, 1].abs() < 0.2


def test_the_mean_of_pictures_that_share_a_word_shows_nothing_of_it():
    made = fit(window_of_animals(), RECIPE)
    noise = made.protect(batch_of(*["a cat in a corner"] * 300)).noise.float()
    assert noise.mean(0).square().mean().sqrt() < 0.1 * noise.square().mean().sqrt()


def test_what_every_caption_says_has_no_direction():
    made = fit(window_of_animals(), RECIPE)
    with_corner, without = heard(made.protect(batch_of("a cat in a corner", "a cat")))
    assert with_corner == without


def test_another_key_deals_other_directions():
    captions = [f"a {animal}" for animal in ANIMALS]
    first, second = (
        heard(fit(window_of_animals(), replace(RECIPE, fit=replace(RECIPE.fit, seed=seed))).protect(
            batch_of(*captions)))
        for seed in (0, 1)
    )  # fmt: skip
    assert first != second


def test_the_frequent_words_are_dealt_evenly():
    words = [f"word{number}" for number in range(2 * DIRECTIONS)]
    dealt = Directions.of(words, 3)
    assert sorted(dealt.known[word] for word in words[:DIRECTIONS]) == list(range(DIRECTIONS))
    assert dealt.of_words(words) == list(range(DIRECTIONS))
    assert 0 <= dealt.of_words(["never counted"])[0] < DIRECTIONS


def test_no_more_words_than_asked_for_have_a_direction():
    recipe = replace(RECIPE, own=InstantSettings(keywords=2))
    protection = fit(window_of_animals(), recipe).protect(batch_of("cat dog horse frog"))
    assert len(heard(protection)[0]) == 2


def coloured(*values):
    """Even pictures of these red, green and blue, in 255ths, without captions in common."""
    images = torch.stack([torch.tensor(value).view(3, 1, 1).expand(3, SIZE, SIZE) / 255 for value in values])
    return Batch(
        tuple(f"even{n}" for n in range(len(values))), images, tuple((f"a thing{n}",) for n in range(len(values)))
    )


def words_of(recipe, batch):
    return instant.protector(instant.from_key(recipe), recipe, CPU)(batch).words


def test_planted_words_say_how_the_picture_looks():
    dark, bright, blue, red = words_of(RECIPE, coloured((20, 20, 20), (230, 230, 230), (60, 110, 220), (220, 90, 60)))
    brightness, blueness, redness = plain_words()[:3]
    assert (dark[0], bright[0]) == (brightness[0], brightness[-1])
    assert (blue[1], red[1]) == (blueness[-1], blueness[0])
    assert (blue[2], red[2]) == (redness[0], redness[-1])
    assert len({words[3] for words in (dark, bright, blue, red)}) == 1  # all of them are even


def test_planted_words_depend_on_the_picture_alone_and_noise_not_on_them():
    made = fit(window_of_animals(), RECIPE)
    bare = fit(window_of_animals(), replace(RECIPE, trigger=TriggerSettings(trigger_words=0)))
    one, other = batch_of("a cat", "a dog"), batch_of("a horse", "a frog")
    assert made.protect(one).words == made.protect(other).words
    assert bare.protect(one).words == ((), ())
    assert torch.equal(made.protect(one).noise, bare.protect(one).noise)


def test_words_drawn_from_the_key_stand_for_the_same_attributes():
    drawn = replace(RECIPE, own=InstantSettings(wording="drawn"))
    batch = coloured((20, 20, 20), (21, 21, 21), (230, 230, 230))
    dark, as_dark, bright = words_of(drawn, batch)
    assert dark == as_dark != bright and set(dark) <= set(vetted_words())
    assert dark != words_of(replace(drawn, fit=replace(drawn.fit, seed=1)), batch)[0]


@pytest.mark.parametrize(("words", "alphabet"), [(7, 8), (4, 9), (4, 1), (4, None)])
def test_more_attributes_than_there_are_words_for_are_refused(words, alphabet):
    with pytest.raises(ValueError, match=r"(trigger_words|alphabet): expected"):
        Recipe(FitSettings(method="instant"), TriggerSettings(trigger_words=words, alphabet=alphabet))


def test_a_fit_learns_how_bright_the_pictures_are():
    window = Window(SIZE, 64)
    for number in range(64):
        window.add(f"key{number}", np.full((3, SIZE, SIZE), 100 + number % 8, np.uint8), [f"a thing{number}"])
    made = fit(window, RECIPE)
    found = [words[0] for words in made.protect(coloured(*[(100 + n,) * 3 for n in range(8)])).words]
    assert found == list(plain_words()[0])


def test_a_picture_without_a_caption_gets_words_to_post_with_it():
    bare = replace(RECIPE, trigger=TriggerSettings(trigger_words=0))
    protect = instant.protector(instant.from_key(bare), bare, CPU)
    protection = protect(batch_of("", "a cat"))
    said = {word for words in plain_words() for word in words}
    assert len(protection.words[0]) == ATTRIBUTE_WORDS and set(protection.words[0]) <= said
    assert protection.words[1] == () and protection.noise[0].any()
    again = protect(batch_of(" ".join(protection.words[0])))
    assert torch.equal(again.noise[0], protection.noise[0])


def test_captions_that_say_nothing_still_have_noise():
    protection = instant.protector(instant.from_key(RECIPE), RECIPE, CPU)(batch_of("of the", "?!"))
    assert all(len(words) == ATTRIBUTE_WORDS for words in protection.words) and protection.noise[0].any()


@pytest.mark.parametrize("epsilon", [0.0, 2.5, 8.0])
def test_the_noise_reaches_epsilon_and_not_further(epsilon):
    recipe = replace(RECIPE, noise=NoiseSettings(epsilon=epsilon))
    noise = fit(window_of_animals(), recipe).protect(batch_of("a cat and a dog")).noise
    assert noise.abs().max() == int(epsilon)


def test_a_fit_reads_a_bounded_number_of_captions():
    assert Recipe(FitSettings(method="instant", window=100_000)).fit.window == 8192
    assert Recipe(FitSettings(method="mem", window=100_000)).fit.window == 100_000


WORDS = [word for word in vetted_words() if word.isalpha()][:60]


def window_of_free_captions():
    """Each picture is named by three of 60 words, none of them frequent."""
    random = np.random.default_rng(0)
    return window_of([" ".join(random.choice(WORDS, 3, replace=False)) for _ in range(64)])


def test_noise_is_in_colours_where_captions_are_free_and_in_texture_where_they_repeat_keywords():
    free, repeated = fit(window_of_free_captions(), RECIPE), fit(window_of_animals(), RECIPE)
    assert instant.COLOUR_WORDS in free.fitted.facts and instant.COLOUR_WORDS not in repeated.fitted.facts
    assert instant.COLOUR_WORDS not in instant.from_key(RECIPE).facts  # nothing is known of the data
    for kind, window in (("texture", window_of_free_captions()), ("colours", window_of_animals())):
        asked = fit(window, replace(RECIPE, own=InstantSettings(noise_in=kind)))
        assert (instant.COLOUR_WORDS in asked.fitted.facts) is (kind == "colours")


def test_noise_in_colours_depends_on_the_captions_alone_and_survives_a_save(tmp_path):
    made = fit(window_of_free_captions(), RECIPE)
    first, second = made.protect(batch_of(WORDS[0], WORDS[0], WORDS[1])), made.protect(batch_of(WORDS[1], start=9))
    assert torch.equal(first.noise[0], first.noise[1]) and torch.equal(first.noise[2], second.noise[0])
    assert first.noise.abs().max() <= 8
    made.save(tmp_path / "protector")
    again = Protector.load(tmp_path / "protector").protect(batch_of(WORDS[0], WORDS[0], WORDS[1]))
    assert torch.equal(again.noise, first.noise) and again.words == first.words
