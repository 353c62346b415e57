"""Metadata of photos: what is read out of every place, and that nothing but what is named is written."""

import io

import numpy as np
import pytest
from PIL import Image, PngImagePlugin, TiffImagePlugin

from protect.data.images import Jpeg
from protect.data.metadata.iptc import jpeg_segment, write_iptc
from protect.data.metadata.metadata import EXIF, GPS, Metadata, new_metadata, read_metadata
from protect.data.metadata.tiff_directories import add_directories
from protect.data.metadata.xmp import CAPTIONS, PROHIBITED, is_marked, read_xmp, write_xmp
from protect.settings.publish import PhotoSettings

PACKET = b"""<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">
<rdf:Description rdf:about="" xmlns:dc="http://purl.org/dc/elements/1.1/"
 xmlns:photoshop="http://ns.adobe.com/photoshop/1.0/" xmlns:xmp="http://ns.adobe.com/xap/1.0/"
 photoshop:Headline="The head" xmp:CreatorTool="secret tool">
<dc:description><rdf:Alt><rdf:li xml:lang="de">Ein Hafen</rdf:li>
<rdf:li xml:lang="x-default">A harbour &amp; more</rdf:li></rdf:Alt></dc:description>
<dc:creator><rdf:Seq><rdf:li>Ann</rdf:li><rdf:li>Bob</rdf:li></rdf:Seq></dc:creator>
<dc:subject><rdf:Bag><rdf:li>keyword</rdf:li></rdf:Bag></dc:subject></rdf:Description></rdf:RDF></x:xmpmeta>"""
GREY = Image.fromarray(np.full((8, 10, 3), 128, np.uint8))


def jpeg(**options):
    buffer = io.BytesIO()
    GREY.save(buffer, "JPEG", **options)
    return reread(buffer.getvalue())


def reread(data, opener=Jpeg):
    image = opener(io.BytesIO(data))
    image.load()
    return image


def exif_with(main=(), details=(), gps=()):
    exif = Image.Exif()
    exif.update(dict(main))
    exif.get_ifd(EXIF).update(dict(details))
    if gps:
        exif.get_ifd(GPS).update(dict(gps))
    return exif


# --- XMP


def test_xmp_is_read_by_name_the_default_language_first():
    found = read_xmp(PACKET)
    assert found["dc:description"] == ("A harbour & more", "Ein Hafen")
    assert found["photoshop:Headline"] == ("The head",)
    assert found["dc:creator"] == ("Ann", "Bob")
    assert set(found) == {"dc:description", "photoshop:Headline", "dc:creator"}


@pytest.mark.parametrize("text", ["plain", "a < b & \"c\" 'd'", "\u00fcber \U0001f600", "control \x01 character"])
def test_xmp_written_is_read_again(text):
    packet = write_xmp(CAPTIONS, text, {"dc:creator": ("Ann & Bob", "<C>"), "unknown:x": ("no",)}, opt_out=True)
    found = read_xmp(packet)
    assert {found[name] for name in CAPTIONS} == {(text.replace("\x01", ""),)}
    assert found["dc:creator"] == ("Ann & Bob", "<C>") and b"unknown" not in packet
    assert is_marked(packet) and not is_marked(PACKET)
    assert PROHIBITED.encode() in packet
    assert PROHIBITED.encode() not in write_xmp((), "", {}, opt_out=False)


@pytest.mark.parametrize(
    "packet",
    [b"", b"\0\0", b"<x", b"no xml", b"\xff\xfe\xff", b'<!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>', b"<a>" * 100],
)
def test_damaged_or_hostile_xmp_reads_as_nothing(packet):
    assert read_xmp(packet) == {}


# --- IPTC


def test_iptc_written_is_read_by_pillow():
    image = jpeg(extra=jpeg_segment(write_iptc({(2, 120): "h\u00e4fen", (2, 116): "Ann"})))
    found = read_metadata(image)
    assert found.captions == {"iptc:120": "h\u00e4fen"} and found.credits == {(2, 116): "Ann"}


def test_iptc_in_latin_1_and_too_long():
    latin = b"\x1c\x02\x78\x00\x05h\xe4fen"
    assert read_metadata(jpeg(extra=jpeg_segment(latin))).captions == {"iptc:120": "h\u00e4fen"}
    assert len(write_iptc({(2, 5): "\u00e4" * 99})) == len(write_iptc({(2, 5): "x" * 64}))
    assert write_iptc({}) == jpeg_segment(b"") == b""


# --- reading


def test_every_place_is_read_in_order():
    exif = exif_with(
        {0x010E: "from exif", 0x9C9C: "comment\0".encode("utf-16-le"), 0x9C9B: "titel \u00e4".encode("utf-16-le")},
        {0x9286: b"UNICODE\0" + "user".encode("utf-16-be")},
    )
    found = read_metadata(
        jpeg(
            exif=exif,
            xmp=PACKET,
            extra=jpeg_segment(write_iptc({(2, 120): "from iptc"})),
            comment="c\u00f6m".encode(),
        )
    )
    assert found.captions == {
        "xmp:dc:description": "A harbour & more", "xmp:photoshop:Headline": "The head", "iptc:120": "from iptc",
        "exif:010e": "from exif", "exif:9286": "user", "exif:9c9c": "comment", "exif:9c9b": "titel \u00e4",
        "exif:comment": "c\u00f6m",
    }  # fmt: skip
    assert not found.marked


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (b"ASCII\0\0\0plain", "plain"),
        (b"UNICODE\0" + "w\u00e4r".encode("utf-16-le"), "w\u00e4r"),
        (b"UNICODE\0" + "w\u00e4r".encode("utf-16-be"), "w\u00e4r"),
        (b"\0" * 8 + b"none", "none"),
        (b"no charset at all", "no charset at all"),
        (b"ASCII\0\0\0   \0\0", ""),
    ],
)
def test_user_comment_in_its_encodings(data, text):
    found = read_metadata(jpeg(exif=exif_with(details={0x9286: data}))).captions
    assert found.get("exif:9286", "") == text


@pytest.mark.parametrize(
    "text",
    ["OLYMPUS DIGITAL CAMERA", "SONY DSC", "Exif_JPEG_PICTURE", r"DCIM\100MEDIA\DJI_0001.JPG", "Screenshot",
     "2024-05-01", "Created with GIMP", "hdrpl", "  "],
)  # fmt: skip
def test_what_cameras_write_is_no_caption(text):
    assert read_metadata(jpeg(exif=exif_with({0x010E: text}), comment=text.encode())).captions == {}


def test_a_caption_that_begins_like_a_cameras_is_one():
    text = "My digital camera on a table"
    assert read_metadata(jpeg(exif=exif_with({0x010E: text}))).captions == {"exif:010e": text}


def test_damaged_exif_is_read_as_absent():
    found = read_metadata(jpeg(exif=b"Exif\0\0MM\0*\xff\xff\xff\xff", xmp=PACKET))
    assert found.orientation == 1 and "xmp:dc:description" in found.captions


# --- writing


def written(old, settings=None, caption="new words"):
    new = new_metadata(old, caption, (10, 8), settings or PhotoSettings())
    data = {"exif": new.exif, "xmp": new.xmp, "extra": jpeg_segment(new.iptc), "comment": new.comment}
    return new, jpeg(**data)


def full_exif():
    return exif_with(
        {0x010E: "clean", 0x010F: "Canon", 0x0112: 6, 0x9C9C: "clean".encode("utf-16-le"), 0x4746: 5},
        {0x9286: b"ASCII\0\0\0clean", 0xA431: "SERIAL1", 0xA435: "SERIAL2", 0xA420: "UNIQUE", 0x927C: b"MAKER clean",
         0xA434: "50mm", 0x829A: 0.01, 0xA002: 999},
        {1: "N", 2: (48.0, 8.0, 0.0)},
    )  # fmt: skip


def test_the_new_caption_stands_wherever_the_old_one_did_and_nothing_else_is_left():
    old = read_metadata(
        jpeg(exif=full_exif(), xmp=PACKET, comment=b"clean", extra=jpeg_segment(write_iptc({(2, 120): "clean"})))
    )
    new, image = written(old)
    again = read_metadata(image)
    assert set(again.captions) == set(old.captions) and set(again.captions.values()) == {"new words"}
    data = b"".join((image.info["exif"], image.info["xmp"], image.info["comment"]))
    for secret in (b"clean", "clean".encode("utf-16-le"), b"SERIAL", b"MAKER", b"UNIQUE", b"keyword", b"secret tool"):
        assert secret not in data
    assert again.orientation == 1 and again.gps == {} and again.marked
    assert again.exif[0x010F] == "Canon" and again.details[0xA434] == "50mm"
    assert (new.exif.get_ifd(EXIF)[0xA002], new.exif.get_ifd(EXIF)[0xA003]) == (10, 8)
    assert again.rights["dc:creator"] == ("Ann", "Bob")


def test_a_photo_without_a_caption_gets_none_in_the_file():
    new, image = written(Metadata(), caption="suggested")
    assert read_metadata(image).captions == {} and b"suggested" not in new.xmp and new.iptc == b""
    assert is_marked(new.xmp)


def test_place_and_opt_out_are_the_users_choice():
    old = read_metadata(jpeg(exif=full_exif()))
    new, image = written(old, PhotoSettings(keep_gps=True, opt_out=False))
    assert read_metadata(image).gps[2] == (48.0, 8.0, 0.0) and PROHIBITED.encode() not in new.xmp
    assert PROHIBITED.encode() in written(old)[0].xmp


def test_png_texts_are_written_alike():
    info = PngImagePlugin.PngInfo()
    info.add_text("Description", "clean")
    info.add_text("Author", "Ann")
    info.add_text("Software", "secret tool")
    buffer = io.BytesIO()
    GREY.save(buffer, "PNG", pnginfo=info)
    old = read_metadata(reread(buffer.getvalue(), PngImagePlugin.PngImageFile))
    assert old.captions == {"exif:text Description": "clean"}
    assert new_metadata(old, "new", (10, 8), PhotoSettings()).texts == {"Author": "Ann", "Description": "new"}


@pytest.mark.parametrize("options", [{}, {"compression": "tiff_lzw"}])
def test_directories_in_a_tiff(options):
    buffer = io.BytesIO()
    GREY.save(buffer, "TIFF", tiffinfo={0x010F: "Canon"}, **options)
    data = add_directories(buffer.getvalue(), {EXIF: {0xA434: "50mm", 0x829A: 0.5}, GPS: {1: "N"}})
    image = reread(data, TiffImagePlugin.TiffImageFile)
    exif = image.getexif()
    assert (exif[0x010F], exif.get_ifd(EXIF), exif.get_ifd(GPS)) == ("Canon", {0xA434: "50mm", 0x829A: 0.5}, {1: "N"})
    assert np.array_equal(np.asarray(image), np.asarray(GREY)) and image.n_frames == 1
    assert list(read_metadata(image).details) == [0x829A, 0xA434]


def test_directories_need_a_classic_tiff():
    with pytest.raises(ValueError, match="expected a classic TIFF"):
        add_directories(b"II+\0", {})
