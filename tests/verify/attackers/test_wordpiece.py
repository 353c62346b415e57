"""A tokenizer learned from captions: WordPiece, of their own words, the same every time."""

from protect.verify.attackers import wordpiece as own_tokenizer
from protect.verify.attackers.wordpiece import learned_tokenizer, pieces

TEXTS = ["A dog runs, a dog sleeps", "two Café tables", "the dogs running", "abc bca cab acb"] * 3


def test_the_learned_vocabulary_does_not_depend_on_chance():
    assert len({tuple(pieces(TEXTS)) for _ in range(5)}) == 1
    assert pieces(TEXTS) == pieces(TEXTS[::-1])


def test_the_learned_tokenizer_is_a_wordpiece_of_its_own_captions():
    tokenizer = learned_tokenizer(TEXTS, 77)
    assert tokenizer("").input_ids == [tokenizer.bos_token_id, tokenizer.eos_token_id] == [2, 3]
    assert tokenizer.tokenize("A DOG, café!") == ["a", "dog", ",", "cafe", "[UNK]"]
    spelled = tokenizer.tokenize("dabble")
    assert len(spelled) > 1 and all(piece.startswith("##") for piece in spelled[1:])
    assert tokenizer.decode(tokenizer("two dogs sleeps", add_special_tokens=False).input_ids) == "two dogs sleeps"


def test_rare_letters_and_words_are_unknown(monkeypatch):
    monkeypatch.setattr(own_tokenizer, "LETTERS", 3)
    tokenizer = learned_tokenizer(["aaa bbb ccc", "abc z"] * 2, 77)
    assert tokenizer.tokenize("abc z") == ["abc", "[UNK]"]
    assert "z" not in tokenizer.get_vocab()


def test_without_captions_everything_is_unknown():
    assert learned_tokenizer([], 77).tokenize("a dog") == ["[UNK]", "[UNK]"]
