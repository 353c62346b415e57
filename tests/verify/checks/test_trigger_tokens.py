import pytest

from protect.verify.checks.trigger_tokens import Reader, readers, whole_words

CLIP = readers((), ())["CLIP"]
LONG = " ".join(["dog"] * 74)


@pytest.mark.parametrize(
    ("caption", "trigger", "whole"),
    [
        ("zebra lamp a dog", (("zebra", "lamp"), ()), 1),
        ("a dog zebra lamp", ((), ("zebra", "lamp")), 1),
        ("a dog #zebra #lamp", ((), ("#zebra", "#lamp")), 1),
        (f"zebra {LONG}", (("zebra",), ()), 1),
        (f"{LONG} zebra", ((), ("zebra",)), 1),
        (f"dog {LONG} zebra", ((), ("zebra",)), 0),
        ("zebra-a dog", (("zebra",), ()), 1),
        ("zebras a dog", (("zebra",), ()), 0),
    ],
)
def test_words_are_whole_when_their_tokens_are_read(caption, trigger, whole):
    assert whole_words([caption], [trigger], {"CLIP": CLIP}) == {"CLIP": whole}


def test_each_tokenizer_has_its_share():
    short = Reader(lambda text: [len(word) for word in text.split()], 4)
    found = whole_words(["a dog zebra", "zebra a dog"], [((), ("zebra",)), (("zebra",), ())], {"short": short})
    assert found == {"short": 0.5}


def test_an_attacker_with_a_tokenizer_of_its_own_reads_too():
    captions = ["zebra a dog in the field"] * 3
    found = readers(["tiny-resnet", "tiny-hf"], captions)
    assert set(found) == {"CLIP", "tiny-hf"}
    assert whole_words(captions, [(("zebra",), ())] * 3, found) == {"CLIP": 1, "tiny-hf": 1}
