"""Photos of hostile bytes: each is refused in words, or nothing clean is in what is written of it.

PROTECT_FUZZ says how many inputs each test makes (default 250; 30,000 take an hour or so).
"""

import io
import os
import struct
import zlib
from importlib.util import find_spec

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image, PngImagePlugin

from protect.data.images import ImageError
from protect.data.metadata.iptc import jpeg_segment, write_iptc
from protect.data.metadata.metadata import Metadata, new_metadata
from protect.data.metadata.tiff import ASCII, Block, Entry, add_to_tiff, write_block
from protect.data.metadata.xmp import CAPTIONS, read_xmp, write_xmp
from protect.data.photo_files import Unsuited, decode_still
from protect.data.photo_writer import encode_still
from protect.settings.publish import PhotoSettings

CLEAN, NEW = "clean heron by the pond", "new words of the heron"
SECRET = b"\xd6SECRET-PREVIEW\xd7"
FORMS = ("utf-8", "utf-16-le", "utf-16-be")
MANY = settings(
    max_examples=int(os.environ.get("PROTECT_FUZZ", "250")),
    deadline=None,
    suppress_health_check=list(HealthCheck),
    derandomize="PROTECT_FUZZ" not in os.environ,
)
PACKET = write_xmp(CAPTIONS, CLEAN, {"dc:creator": ("Ann",)}, False).replace(b"urn:protect-pairs", b"urn:other")
RECORDS = write_iptc({(2, 120): (CLEAN,), (2, 5): (CLEAN,), (2, 80): ("Ann", "Bob"), (2, 25): ("heron",)})
PICTURE = Image.effect_mandelbrot((24, 16), (-2, -1, 1, 1), 30).convert("RGB")


def exif(order="<"):
    """A block with captions, rights, a place, a maker note and, behind it, a preview in a directory of its own."""
    wide, long = CLEAN.encode("utf-16-le") + b"\0\0", struct.pack(order + "I", 8)
    block = Block(
        order,
        {0x010E: Entry(ASCII, CLEAN.encode() + b"\0"), 0x9C9C: Entry(1, wide), 0x010F: Entry(ASCII, b"Canon\0"),
         0x0112: Entry(3, struct.pack(order + "H", 6)), 0x011A: Entry(5, struct.pack(order + "II", 300, 1)),
         0x8298: Entry(ASCII, b"\xc2\xa9 Ann\0"), 0x4746: Entry(3, struct.pack(order + "H", 4))},
        {0x9286: Entry(7, b"ASCII\0\0\0" + CLEAN.encode()), 0x927C: Entry(7, SECRET),
         0xA431: Entry(ASCII, b"SERIAL\0"), 0x829A: Entry(5, struct.pack(order + "II", 1, 250)),
         0xA002: Entry(4, long)},
        {1: Entry(ASCII, b"N\0"), 2: Entry(5, struct.pack(order + "6I", 48, 1, 8, 1, 0, 1))},
        {1: Entry(ASCII, b"R03\0")},
    )  # fmt: skip
    return write_block(block) + SECRET


def saved(kind, **options):
    buffer = io.BytesIO()
    PICTURE.save(buffer, kind, **options)
    return buffer.getvalue()


def seeds():
    """A small file of every kind, with captions and secrets wherever it can hold them."""
    info = PngImagePlugin.PngInfo()
    info.add_itxt("Description", CLEAN)
    info.add_itxt("XML:com.adobe.xmp", PACKET.decode())
    common = {"exif": exif(), "xmp": PACKET}
    yield saved("JPEG", extra=jpeg_segment(RECORDS), comment=CLEAN.encode(), quality=90, **common) + SECRET
    yield saved("JPEG", exif=exif(">"), progressive=True, subsampling=2)
    yield saved("PNG", pnginfo=info, exif=exif())
    for compression in ("raw", "tiff_lzw"):
        block = Block(
            "<", {0x010E: Entry(ASCII, CLEAN.encode() + b"\0"), 700: Entry(1, PACKET), 33723: Entry(7, RECORDS)}
        )
        yield add_to_tiff(saved("TIFF", compression=compression), block)
    yield saved("WEBP", quality=80, **common)
    yield saved("WEBP", lossless=True, **common)
    yield saved("AVIF", quality=80, **common)
    if find_spec("pillow_heif"):
        import pillow_heif

        buffer = io.BytesIO()
        pillow_heif.from_pillow(PICTURE).save(buffer, exif=exif(), xmp=PACKET)
        yield buffer.getvalue()


SEEDS = list(seeds())
KINDS = ("flip", "set", "insert", "cut", "repeat", "number")
EDITS = st.tuples(st.sampled_from(KINDS), st.floats(0, 1), st.binary(min_size=1, max_size=8))


@st.composite
def mutated(draw, data):
    """A file with a few of its bytes changed, lost, repeated or pushed apart; most often in its first kilobytes."""
    whole = bytearray(data)
    for kind, place, extra in draw(st.lists(EDITS, min_size=1, max_size=6)):
        reach = len(whole) if extra[0] % 2 else min(len(whole), 2048)
        at = min(int(place * reach), max(0, len(whole) - 1))
        if kind == "flip" and whole:
            whole[at] ^= 1 << extra[0] % 8
        elif kind == "set":
            whole[at : at + len(extra)] = extra
        elif kind == "insert":
            whole[at:at] = extra
        elif kind == "cut":
            del whole[at : at + 1 + extra[0] * len(extra)]
        elif kind == "repeat":
            whole[at:at] = whole[at : at + 1 + extra[0] * len(extra)]
        elif kind == "number":
            whole[at : at + 4] = struct.pack("<I", (0, 1, 0x7FFFFFFF, 0xFFFFFFFF, 0x80000000, 0xFFFF)[extra[0] % 6])
    return bytes(whole)


def check(data):
    """The file is refused in words, or what is written of it holds nothing that was to go."""
    try:
        still = decode_still(io.BytesIO(data), 20_000)
        new = new_metadata(still.metadata, NEW, still.image.size, PhotoSettings())
    except (ImageError, Unsuited) as error:
        assert str(error) and "\n" not in str(error)
        return
    except ValueError as error:
        assert str(error).startswith("expected ")
        return
    out = encode_still(still, still.image, new, None)
    again = decode_still(io.BytesIO(out), 20_000)
    assert again.image.size == still.image.size and again.metadata.marked
    assert set(again.metadata.captions.values()) <= {NEW} and not again.metadata.gps
    kept = write_block(new.exif) + repr((still.metadata.credits, still.metadata.named, still.metadata.texts)).encode()
    pixels = still.image.tobytes()  # a directory that points at a text makes pixels of it
    assert SECRET not in out or SECRET in kept + pixels  # a changed tag may have made a kept field of it
    for text in still.metadata.captions.values():
        for coded, new_coded in ((text.encode(form), NEW.encode(form)) for form in FORMS):
            assert len(text.split()) < 4 or coded not in out.replace(new_coded, b"") or coded in pixels


@pytest.mark.parametrize("data", SEEDS)
def test_the_seeds_themselves(data):
    check(data)
    assert CLEAN in set(decode_still(io.BytesIO(data), 20_000).metadata.captions.values())


@MANY
@given(st.sampled_from(SEEDS).flatmap(mutated))
def test_files_with_changed_bytes(data):
    check(data)


# --- by structure: what a parser meets when a file is sound all around

ENTRY = st.tuples(
    st.sampled_from((0x010E, 0x010F, 0x0112, 0x011A, 0x0128, 0x0201, 0x4746, 0x829A, 0x8298, 0x8769, 0x8825, 0x9204,
                     0x9286, 0x927C, 0x9C9C, 0x9C9E, 0xA002, 0xA005)),
    st.integers(0, 20),
    st.one_of(st.integers(0, 70), st.sampled_from((0xFFFF, 0x10000, 0x7FFFFFFF, 0xFFFFFFFF))),
    st.one_of(st.integers(0, 300).map(lambda n: struct.pack("<I", n)), st.binary(min_size=4, max_size=4)),
)  # fmt: skip


@st.composite
def blocks(draw):
    """An EXIF block of entries that point anywhere."""
    order, head = draw(st.sampled_from((("<", b"II*\0"), (">", b"MM\0*"))))
    parts = [b""]
    for entries in draw(st.lists(st.lists(ENTRY, max_size=6), min_size=1, max_size=3)):
        rows = b"".join(struct.pack(order + "HHI", tag, kind, count) + value for tag, kind, count, value in entries)
        parts.append(
            struct.pack(order + "H", len(entries)) + rows + struct.pack(order + "I", draw(st.integers(0, 99)))
        )
    return b"Exif\0\0" + head + struct.pack(order + "I", draw(st.integers(4, 12))) + b"".join(parts) + CLEAN.encode()


@MANY
@given(blocks(), st.sampled_from(("JPEG", "PNG", "WEBP")))
def test_exif_that_points_anywhere(block, kind):
    if kind == "PNG":
        head = saved("PNG")
        at = head.index(b"IDAT") - 4
        body = b"eXIf" + block[6:]
        check(head[:at] + struct.pack(">I", len(body) - 4) + body + struct.pack(">I", zlib.crc32(body)) + head[at:])
    else:
        check(saved(kind, exif=block))


SEGMENTS = st.tuples(
    st.sampled_from((0xE0, 0xE1, 0xE2, 0xED, 0xEE, 0xFE, 0xDB, 0xC4)),
    st.sampled_from((b"", b"Exif\0\0", b"http://ns.adobe.com/xap/1.0/\0", b"Photoshop 3.0\0", b"ICC_PROFILE\0",
                     b"MPF\0", b"Photoshop 3.0\x008BIM\x04\x04\0\0\0\0", b"JFIF\0\1\1", b"Adobe\0")),
    st.one_of(st.binary(max_size=60), st.sampled_from((PACKET, RECORDS, exif()[6:], CLEAN.encode()))),
    st.integers(-3, 3),
)  # fmt: skip


@MANY
@given(st.lists(SEGMENTS, min_size=1, max_size=5))
def test_jpegs_with_segments_of_all_kinds(segments):
    plain = saved("JPEG")
    made = [
        b"\xff" + bytes([marker]) + struct.pack(">H", max(0, len(name + body) + 2 + off)) + name + body
        for marker, name, body, off in segments
    ]
    check(plain[:2] + b"".join(made) + plain[2:])


CHUNKS = st.tuples(
    st.sampled_from((b"tEXt", b"zTXt", b"iTXt", b"eXIf", b"iCCP", b"pHYs", b"gAMA", b"cICP", b"cHRM", b"acTL",
                     b"tRNS", b"PLTE")),
    st.sampled_from((b"", b"Description\0", b"XML:com.adobe.xmp\0\0\0\0\0", b"Raw profile type exif\0", b"Author\0\0",
                     b"sRGB\0\0")),
    st.one_of(st.binary(max_size=40),
              st.sampled_from((PACKET, exif()[6:], CLEAN.encode(), zlib.compress(CLEAN.encode())))),
)  # fmt: skip


@MANY
@given(st.lists(CHUNKS, min_size=1, max_size=5), st.booleans())
def test_pngs_with_chunks_of_all_kinds(chunks, at_the_end):
    plain = saved("PNG")
    at = plain.index(b"IEND") - 4 if at_the_end else plain.index(b"IDAT") - 4
    made = (
        struct.pack(">I", len(name + body)) + kind + name + body + struct.pack(">I", zlib.crc32(kind + name + body))
        for kind, name, body in chunks
    )
    check(plain[:at] + b"".join(made) + plain[at:])


@MANY
@given(st.one_of(mutated(PACKET), mutated(RECORDS), st.binary(max_size=300)))
def test_packets_read_as_something_or_nothing(data):
    for values in read_xmp(data).values():
        assert values and all(isinstance(value, str) for value in values)
    check(saved("JPEG", xmp=data[:60_000], extra=jpeg_segment(data)))


TEXT = st.text(max_size=60)


@MANY
@given(
    st.sampled_from(SEEDS),
    TEXT.map(lambda text: " ".join(text.split())),
    st.dictionaries(st.sampled_from(tuple(CAPTIONS)), TEXT),
    st.booleans(),
)
def test_any_text_is_written_and_read_again_alike(data, caption, named, keep_gps):
    """Captions of any characters, in every place of every kind of file."""
    still = decode_still(io.BytesIO(data), 20_000)
    caption = caption.encode("utf-8", "ignore").decode()
    new = new_metadata(still.metadata, caption, still.image.size, PhotoSettings(keep_gps=keep_gps))
    again = decode_still(io.BytesIO(encode_still(still, still.image, new, None)), 20_000).metadata
    assert CLEAN not in again.captions.values()
    packet = write_xmp(named, caption, {}, False)
    assert set(read_xmp(packet)) <= set(named) and isinstance(again, Metadata)
