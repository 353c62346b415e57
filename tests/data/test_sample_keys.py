import pytest

from protect.data.sample_keys import Keys, key_text


@pytest.mark.parametrize(
    ("key", "text"), [(7, "7"), (7.0, "7"), (7.5, "7.5"), (b"7", "7"), (b"\xe9", "\udce9"), (None, ""), ("07", "07")]
)
def test_keys_as_text(key, text):
    assert key_text(key) == text


@pytest.mark.parametrize(
    "key", ["000000007", "./000000007", "././000000007", "in/000000007", "000000007.jpg", "./in\\000000007.PNG", 7,
            7.0, "7", b"000000007", " 000000007 ", "7.0"]
)  # fmt: skip
def test_spellings_of_one_key(key):
    assert Keys(["000000007", "000000008"]).find(key) == "000000007"


def test_folders_and_forms_of_characters():
    keys = Keys(["./d/Äa", "e/b"])
    assert keys.find("d/A\u0308a") == "./d/Äa" and keys.find("b") == "e/b" and keys.find("e/b.webp") == "e/b"


def test_a_spelling_of_two_samples_means_neither():
    keys = Keys(["a/1", "b/1", "007", "07"])
    assert keys.find("1") is None and keys.find("7") is None
    assert keys.find("b/1") == "b/1" and keys.find("07") == "07"


@pytest.mark.parametrize("key", [None, "", "x", "1.5", "a/2", b"\xff"])
def test_keys_of_no_sample(key):
    assert Keys(["1", "a/1"]).find(key) is None


def test_an_ending_that_is_no_picture_belongs_to_the_key():
    assert Keys(["v1", "v1.2"]).find("v1.2") == "v1.2" and Keys(["v1"]).find("v1.2") is None
