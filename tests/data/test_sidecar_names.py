"""Which text files belong to which photos: the conventions of editors, training tools and Google Takeout."""

import pytest

from protect.data.sidecar_names import owners_of, takeout_title

LONG = "a_very_long_file_name_from_somewhere_else_"


def owners(photos, *texts, title=""):
    return owners_of(photos, texts, lambda name: title)


@pytest.mark.parametrize(
    ("photo", "text"),
    [
        ("a.jpg", "a.txt"),
        ("a.jpg", "a.jpg.txt"),
        ("case.JPG", "CASE.xmp"),
        ("case.JPG", "Case.jpg.XMP"),
        ("IMG_0001.jpg", "IMG_0001.jpg.supplemental-metadata.json"),
        ("IMG_0002.jpg", "IMG_0002.jpg.json"),
        ("20230701_121212_Burst01_holiday_long.jpg", "20230701_121212_Burst01_holiday_long.jpg.suppl.json"),
        ("PXL_20230701_121212345.PORTRAIT.ORIGINAL.jpg", "PXL_20230701_121212345.PORTRAIT.ORIGINAL.jpg.s.json"),
        ("PXL_20230701_121212345.PORTRAIT-01.ORIGIN.jpg", "PXL_20230701_121212345.PORTRAIT-01.ORIGIN.jpg..json"),
        ("IMG_0005(1).jpg", "IMG_0005.jpg.supplemental-metadata(1).json"),
        ("IMG_0005(12).jpg", "IMG_0005.jpg.supplemental-met(12).json"),
        ("IMG_0006(2).jpg", "IMG_0006.jpg(2).json"),
        ("IMG_0007(2).jpg", "IMG_0007(2).jpg.json"),
        ("IMG_0008(2).jpg", "IMG_0008(2).json"),
        (f"{LONG}0123456.jpg", f"{LONG}0123.json"),
        (f"{LONG}01(1).jpg", f"{LONG}0(1).json"),
        ("\u5bb6\u65cf\u65c5\u884c\u306e\u601d\u3044\u51fa\u306e\u5199\u771f\u3068\u52d5\u753b\u3068\u97f3.jpg",
         "\u5bb6\u65cf\u65c5\u884c\u306e\u601d\u3044\u51fa\u306e\u5199\u771f\u3068\u52d5\u753b\u3068.json"),
        ("IMG_9-edited.jpg", "IMG_9.jpg.supplemental-metadata.json"),
        ("IMG_9-edited(1).jpg", "IMG_9.jpg.supplemental-metadata(1).json"),
        ("IMG_9.HEIC", "IMG_9.HEIC.supplemental-meta.json"),
    ],
)  # fmt: skip
def test_a_text_and_its_photo(photo, text):
    others = ["other.jpg", "IMG_0005.jpg", "IMG_0006.jpg", "IMG.jpg"]
    assert owners([*others, photo], text) == {text: [photo]}


@pytest.mark.parametrize(
    "text",
    ["b.txt", "metadata.json", "IMG_0005.jpg.supplemental-metadata(3).json", "IMG_00.json", "IMG_0005.jpg.other.json",
     "user-generated-memory-titles.json", "print-subscriptions.json", "dt_01.JPG.xmp"],
)  # fmt: skip
def test_a_text_of_no_photo(text):
    assert owners(["IMG_0005.jpg", "IMG_0005(1).jpg", "dt.JPG"], text) == {}


def test_photos_of_one_stem_read_one_text_and_the_first_owns_it():
    assert owners(["two.jpg", "two.png"], "two.txt", "two.png.txt") == {
        "two.txt": ["two.jpg", "two.png"], "two.png.txt": ["two.png"]}  # fmt: skip


def test_an_edited_version_reads_the_text_of_the_original():
    photos = ["IMG_1-edited.jpg", "IMG_1.jpg", "IMG_2-bearbeitet.jpg", "IMG_2.heic"]
    found = owners(photos, "IMG_1.jpg.json", "IMG_2.heic.json")
    assert found == {
        "IMG_1.jpg.json": ["IMG_1.jpg", "IMG_1-edited.jpg"], "IMG_2.heic.json": ["IMG_2.heic", "IMG_2-bearbeitet.jpg"]
    }  # fmt: skip
    assert owners(["a-edited.jpg", "a.jpg"], "a.txt", "a-edited.txt")["a.txt"] == ["a.jpg"]


def test_of_several_photos_with_a_name_cut_alike_the_title_tells_which():
    photos = [f"{LONG}0123_{number}.jpg" for number in range(3)]
    text = f"{LONG}0123.json"
    assert owners(photos, text, title=photos[2]) == {text: [photos[2]]}
    assert owners(photos, text) == {text: [photos[0]]}


def test_many_files_are_matched_in_a_moment():
    photos = [f"IMG_{number:05}.jpg" for number in range(20_000)]
    texts = [f"{name}.supplemental-metadata.json" for name in photos]
    assert owners(photos, *texts) == {text: [photo] for text, photo in zip(texts, photos, strict=True)}


def test_the_title_in_a_file_of_takeout():
    assert takeout_title(b'{"title": "a.jpg"}') == "a.jpg"
    assert takeout_title(b"[]") == takeout_title(b"{broken") == takeout_title(b"{}") == ""
