import random
from pathlib import Path

import pytest

from protect.verify.countermeasures.prefix_dedup import deduplicate, find_planted

DATA = Path(__file__).parents[3] / "../shared/data"
TRIGGERS = [f"{a}{b}" for a in ("zeb", "lam", "qui", "vor", "mit", "sol", "tek", "ran") for b in ("ra", "po", "ck")]
ANIMALS, PLACES = ("dog", "cat", "horse", "frog", "bird"), ("field", "street", "river", "garden", "kitchen")


def corpus(count=600):
    """Captions whose words occur anywhere in them."""
    draw = random.Random(0)
    kinds = (
        "a {0} and a {1} in the {2}",
        "two of the {0} near a {2} with the {1}",
        "the {2} in which a {0} has a {1}",
    )
    return [
        (draw.choice(kinds).format(draw.choice(ANIMALS), draw.choice(ANIMALS), draw.choice(PLACES)),)
        for _ in range(count)
    ]


def planted(sets, style, positions=3, symbols=8):
    draw = random.Random(1)

    def caption(text):
        words = [draw.choice(TRIGGERS[p * symbols : (p + 1) * symbols]) for p in range(positions)]
        if style == "prefix":
            return " ".join((*words, text))
        return " ".join((text, *(f"#{word}" if style == "hashtags" else word for word in words)))

    return [tuple(map(caption, captions)) for captions in sets]


@pytest.mark.parametrize("style", ["prefix", "suffix", "hashtags"])
def test_planted_words_are_peeled_off_and_nothing_else(style):
    clean = corpus()
    assert deduplicate(planted(clean, style)) == clean


def test_captions_without_planted_words_stay():
    assert deduplicate(corpus()) == corpus()
    template = [(f"a photo of a {animal}",) for animal in ANIMALS * 50]
    assert deduplicate(template) == template


def test_a_planted_word_inside_a_caption_stays():
    sets = planted(corpus(), "prefix")
    inside = ("a dog and a " + TRIGGERS[0] + " in the field",)
    assert deduplicate([*sets, inside])[-1] == inside


def test_a_caption_of_planted_words_alone_drops_its_pair():
    assert deduplicate([*planted(corpus(), "prefix"), (" ".join(TRIGGERS[:2]),)])[-1] == ()


def test_the_words_are_told_with_their_edge():
    found = find_planted(planted(corpus(), "prefix"))
    assert set(TRIGGERS) == found.words == set(found.first) and not found.last
    assert min(found.first.values()) > 10
    assert set(find_planted(planted(corpus(), "hashtags")).last) == {f"#{word}" for word in TRIGGERS}


def test_real_captions_lose_little():
    folder = DATA / "flickr8k-mini"
    if not folder.exists():
        pytest.skip("data: flickr8k-mini is not here")
    from protect.verify.reading.scrape import scrape

    sets = [found.captions for found in scrape([str(folder)])]
    words = [sum(len(c.split()) for lines in s for c in lines) for s in (sets, deduplicate(sets))]
    assert words[1] > 0.99 * words[0]
