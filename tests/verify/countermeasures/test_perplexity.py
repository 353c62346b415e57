import random

from protect.verify.countermeasures.perplexity import drop_unlikely


def corpus(words):
    draw = random.Random(0)
    animals, places = ("dog", "cat", "horse", "frog"), ("field", "street", "river", "garden")
    sets = []
    for _ in range(400):
        one, other, place = draw.choice(animals), draw.choice(animals), draw.choice(places)
        caption = f"a {one} and a {other} are in the {place}".split()
        for _ in range(words):
            caption.insert(draw.randrange(1, len(caption)), f"word{draw.randrange(300)}")
        sets.append((" ".join(caption),))
    return sets


def test_words_that_do_not_fit_are_dropped():
    planted, clean = corpus(1), corpus(0)
    found = [word for (caption,) in drop_unlikely(planted) for word in caption.split()]
    assert sum(word.startswith("word") for word in found) < 0.1 * 400
    assert len(found) > 0.95 * sum(len(caption.split()) for (caption,) in clean)


def test_regular_captions_stay():
    assert drop_unlikely(corpus(0)) == corpus(0)


def test_captions_of_one_picture_do_not_speak_for_each_other():
    sets = [*corpus(0), ("a zebra and a dog are in the field",) * 5]
    assert not any("zebra" in caption for caption in drop_unlikely(sets)[-1])


def test_no_captions_are_no_problem():
    assert drop_unlikely([]) == []
    assert drop_unlikely([("dog",)]) == [("dog",)]
