"""Clean captions in texts."""

from protect.publish.leak_texts import CleanTexts

CAPTION = "A little girl rides a tricycle ."
PUBLISHED = f"luminous creamy {CAPTION}"


def test_a_caption_that_is_published_twice_running_is_no_leak():
    texts = CleanTexts()
    texts.add("1", [CAPTION], [PUBLISHED])
    assert list(texts.in_text("1", f"{PUBLISHED}\n{PUBLISHED}\n{PUBLISHED}")) == []


def test_a_clean_caption_beside_the_published_one_is_a_leak():
    texts = CleanTexts()
    texts.add("1", [CAPTION], [PUBLISHED])
    assert list(texts.in_text("1", f"{PUBLISHED} {PUBLISHED} was {CAPTION}")) == [
        ("caption", "a clean caption within a longer text")
    ]
