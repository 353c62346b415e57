"""Metadata of photos: what is read out of every place, and that nothing but what is named is written."""

import io
import struct

import numpy as np
import pytest
from PIL import Image, PngImagePlugin

from protect.data.images import Jpeg
from protect.data.metadata.exif import dpi
from protect.data.metadata.iptc import jpeg_segment, write_iptc
from protect.data.metadata.metadata import Metadata, new_metadata, read_metadata
from protect.data.metadata.tiff import ASCII, EXIF, GPS, Block, Entry, write_block
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


@pytest.mark.parametrize("coding", ["utf-16", "utf-16-le", "utf-16-be", "utf-8-sig"])
def test_xmp_in_other_encodings(coding):
    assert read_xmp(PACKET.decode().encode(coding)) == read_xmp(PACKET) != {}


def test_xmp_is_read_by_name_the_default_language_first():
    found = read_xmp(PACKET)
    assert found["dc:description"] == ("A harbour & more", "Ein Hafen")
    assert found["photoshop:Headline"] == ("The head",)
    assert found["dc:creator"] == ("Ann", "Bob")
    assert set(found) == {"dc:description", "photoshop:Headline", "dc:creator", "dc:subject"}


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
    image = jpeg(extra=jpeg_segment(write_iptc({(2, 120): ("h\u00e4fen",), (2, 116): ("Ann",)})))
    found = read_metadata(image)
    assert found.captions == {"iptc:120": "h\u00e4fen"} and found.credits == {(2, 116): ("Ann",)}


def test_iptc_in_latin_1_and_too_long():
    latin = b"\x1c\x02\x78\x00\x05h\xe4fen"
    assert read_metadata(jpeg(extra=jpeg_segment(latin))).captions == {"iptc:120": "h\u00e4fen"}
    assert len(write_iptc({(2, 5): ("\u00e4" * 99,)})) == len(write_iptc({(2, 5): ("x" * 64,)}))
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
            extra=jpeg_segment(write_iptc({(2, 120): ("from iptc",)})),
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


@pytest.mark.parametrize("text", ["OLYMPUS DIGITAL CAMERA", "hdrpl", "2024-05-01", "  "])
def test_what_cameras_write_is_no_caption(text):
    assert read_metadata(jpeg(exif=exif_with({0x010E: text}), comment=text.encode())).captions == {}


@pytest.mark.parametrize("text", ["My digital camera on a table", "Norway", "\U0001f98a"])
def test_a_caption_that_begins_like_a_cameras_is_one(text):
    assert read_metadata(jpeg(exif=exif_with({0x010E: text.encode()}))).captions == {"exif:010e": text}


def test_damaged_exif_is_read_as_absent():
    found = read_metadata(jpeg(exif=b"Exif\0\0MM\0*\xff\xff\xff\xff", xmp=PACKET))
    assert found.orientation == 1 and "xmp:dc:description" in found.captions


# --- writing


def raw_exif(main=None, details=None, interop=None, order="<"):
    return write_block(Block(order, main or {}, details or {}, {}, interop or {}))


@pytest.mark.parametrize("data", ["© José Ñuñez".encode(), "摄影 王小明".encode(), "Jos\xe9".encode("latin-1"),
                                  "photographer\0editor \xa9".encode(), b" spaces \0\0"])  # fmt: skip
def test_rights_in_exif_stay_byte_for_byte(data):
    entry = Entry(ASCII, data + b"\0")
    old = read_metadata(jpeg(exif=raw_exif({0x8298: entry, 0x013B: entry}, {0xA434: entry})))
    again = read_metadata(written(old)[1]).exif
    assert again.main[0x8298] == again.main[0x013B] == again.details[0xA434] == entry


def test_odd_values_stay_what_they_were():
    odd = {
        0x9204: Entry(10, struct.pack("<ii", -2, 0)),
        0x829A: Entry(ASCII, b"abc\0"),
        0x8827: Entry(9, struct.pack("<i", -5)),
        0x9201: Entry(11, struct.pack("<f", float("nan"))),
        0xA432: Entry(5, struct.pack("<8I", *[0] * 8)),
    }
    assert read_metadata(written(read_metadata(jpeg(exif=raw_exif(details=odd))))[1]).exif.details == odd


def test_adobe_rgb_of_a_camera_stays_adobe_rgb():
    details, index = {0xA001: Entry(3, b"\xff\xff")}, {1: Entry(ASCII, b"R03\0"), 0x1000: Entry(ASCII, b"more\0")}
    again = read_metadata(written(read_metadata(jpeg(exif=raw_exif(details=details, interop=index))))[1]).exif
    assert again.details == details and again.interop == {1: index[1]}


def test_ratings_stay_and_keywords_go_and_are_counted():
    words = b"a;b".decode().encode("utf-16-le") + b"\0\0"
    exif = raw_exif({0x4746: Entry(3, b"\4\0"), 0x4749: Entry(3, b"\x4b\0"), 0x9C9E: Entry(1, words)})
    packet = PACKET.replace(b'xmp:CreatorTool="secret tool"', b'xmp:Rating="4" xmp:Label="Red"')
    old = read_metadata(jpeg(exif=exif, xmp=packet, extra=jpeg_segment(write_iptc({(2, 25): ("b", "c")}))))
    assert old.keywords == {"keyword", "a", "b", "c"}
    new, image = written(old)
    again = read_metadata(image)
    assert (again.named["xmp:Rating"], again.named["xmp:Label"]) == (("4",), ("Red",))
    assert set(again.exif.main) == {0x4746, 0x4749} and again.keywords == frozenset() and b"keyword" not in new.xmp


def test_every_by_line_stays():
    credits = {(2, 80): ("Ann", "Bob of a name that is longer than thirty-two bytes"), (2, 116): ("\u00a9 Ann",)}
    old = read_metadata(jpeg(extra=jpeg_segment(write_iptc(credits))))
    assert old.credits == credits and read_metadata(written(old)[1]).credits == credits


def test_a_kept_field_that_repeats_the_caption_goes_with_it():
    told = "a clean caption of four or more words"
    main = {
        0x010E: Entry(ASCII, told.encode()),
        0x010F: Entry(ASCII, b"Canon\0"),
        0x8298: Entry(ASCII, told.encode()),
    }
    credits = {(2, 115): (told + ", by Ann",), (2, 80): ("Ann",)}
    old = read_metadata(jpeg(exif=raw_exif(main), extra=jpeg_segment(write_iptc(credits))))
    again = read_metadata(written(old)[1])
    assert set(again.exif.main) == {0x010F} and again.credits == {(2, 80): ("Ann",)}
    name = read_metadata(jpeg(exif=raw_exif({tag: Entry(ASCII, b"Jane Doe\0") for tag in (0x010E, 0x8298)})))
    assert read_metadata(written(name)[1]).exif.main[0x8298].data == b"Jane Doe\0"
    assert set(written(old, caption=told)[0].exif.main) == set(main)


def test_a_file_without_exif_gets_none():
    new, image = written(Metadata(kind="JPEG"))
    assert write_block(new.exif) == b"" and "exif" not in image.info


def test_resolution_is_kept_and_turns_with_the_photo():
    main = {0x0112: Entry(3, b"\6\0"), 0x011A: Entry(5, struct.pack("<II", 300, 1)),
            0x011B: Entry(5, struct.pack("<II", 150, 1)), 0x0128: Entry(3, b"\2\0")}  # fmt: skip
    old = read_metadata(jpeg(exif=raw_exif(main)))
    assert dpi(old.exif) == (300, 150) and dpi(written(old)[0].exif) == (150, 300)
    old.exif.main[0x0128] = Entry(3, b"\3\0")
    assert dpi(old.exif) == pytest.approx((762, 381))


@pytest.mark.parametrize("text", ["plain words", "h\u00e4fen", "\u6444\u5f71 \u738b\u5c0f\u660e", "\U0001f98a fox"])
@pytest.mark.parametrize("order", "<>")
def test_captions_in_any_script_come_back_from_every_place(text, order):
    places = {0x010E: Entry(ASCII, b"clean\0"), 0x9C9B: Entry(1, "clean".encode("utf-16-le"))}
    old = read_metadata(jpeg(exif=raw_exif(places, {0x9286: Entry(7, b"ASCII\0\0\0clean")}, order=order)))
    found = read_metadata(written(old, caption=text)[1]).captions
    assert found == dict.fromkeys(("exif:010e", "exif:9286", "exif:9c9b"), text)


@pytest.mark.parametrize(
    ("length", "places", "notes"),
    [
        (30_000, {"exif:010e", "exif:comment", "xmp:dc:description", "xmp:photoshop:Headline"}, 0),
        (40_000, {"exif:010e", "exif:comment"}, 1),  # twice in the packet
        (70_000, set(), 2),
    ],
)
def test_a_caption_too_long_for_a_jpeg_is_left_out_there_and_it_is_said(length, places, notes):
    exif = raw_exif({0x010E: Entry(ASCII, b"clean\0"), 0x010F: Entry(ASCII, b"Canon\0")})
    old = read_metadata(jpeg(exif=exif, xmp=PACKET, comment=b"clean"))
    new, image = written(old, caption="x" * length)
    again = read_metadata(image)
    assert again.captions == dict.fromkeys(again.captions, "x" * length) and set(again.captions) == places
    assert len(new.notes) == notes and all("too long" in note for note in new.notes)
    assert again.exif.main[0x010F].data == b"Canon\0" and again.marked


def test_metadata_too_long_for_a_jpeg_fails_in_words():
    old = Metadata(kind="JPEG", exif=Block("<", {0x8298: Entry(ASCII, b"x" * 70_000 + b"\0")}))
    with pytest.raises(ValueError, match="expected EXIF of at most 64 kB"):
        new_metadata(old, "", (10, 8), PhotoSettings())
    old = Metadata(kind="JPEG", credits={(2, 80): ("x" * 30_000,) * 3})
    with pytest.raises(ValueError, match="expected IPTC texts of at most 64 kB"):
        new_metadata(old, "", (10, 8), PhotoSettings())


def test_places_in_xmp_are_the_users_choice_too():
    packet = PACKET.replace(b"photoshop:Headline", b'exif:GPSLatitude="52,31.2N" xmlns:exif="http://ns.adobe.com/exif/1.0/"'
                            b" photoshop:Headline")  # fmt: skip
    old = read_metadata(jpeg(xmp=packet))
    assert b"52,31.2N" not in written(old)[0].xmp
    assert b"52,31.2N" in written(old, PhotoSettings(keep_gps=True))[0].xmp


def written(old, settings=None, caption="new words"):
    new = new_metadata(old, caption, (10, 8), settings or PhotoSettings())
    data = {"exif": write_block(new.exif), "xmp": new.xmp, "extra": jpeg_segment(new.iptc), "comment": new.comment}
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
        jpeg(exif=full_exif(), xmp=PACKET, comment=b"clean", extra=jpeg_segment(write_iptc({(2, 120): ("clean",)})))
    )
    new, image = written(old)
    again = read_metadata(image)
    assert set(again.captions) == set(old.captions) and set(again.captions.values()) == {"new words"}
    data = b"".join((image.info["exif"], image.info["xmp"], image.info["comment"]))
    for secret in (b"clean", "clean".encode("utf-16-le"), b"SERIAL", b"MAKER", b"UNIQUE", b"keyword", b"secret tool"):
        assert secret not in data
    assert again.orientation == 1 and again.gps == {} and again.marked
    assert again.exif.main[0x010F].data == b"Canon\0" and again.exif.details[0xA434].data == b"50mm\0"
    assert new.exif.number(new.exif.details, 0xA002) == 10
    assert again.named["dc:creator"] == ("Ann", "Bob")


def test_a_photo_without_a_caption_gets_none_in_the_file():
    new, image = written(Metadata(), caption="suggested")
    assert read_metadata(image).captions == {} and b"suggested" not in new.xmp and new.iptc == b""
    assert is_marked(new.xmp)


def test_place_and_opt_out_are_the_users_choice():
    old = read_metadata(jpeg(exif=full_exif()))
    new, image = written(old, PhotoSettings(keep_gps=True, opt_out=False))
    assert image.getexif().get_ifd(GPS)[2] == (48.0, 8.0, 0.0) and PROHIBITED.encode() not in new.xmp
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
