"""Pictures of hostile bytes in shards: each is refused in words, or nothing clean is in what is written of it.

FUZZ_EXAMPLES says how many inputs are made (default 400), FUZZ_SEED the first one's seed.
"""

import io
import os
import random
import struct
import zlib

import numpy as np
import pytest
from PIL import Image, PngImagePlugin

from protect.data.captions import CaptionError, captions_of, rewrite_captions
from protect.data.images import ImageError, decode
from protect.data.prepared import Failure, prepare
from protect.data.shard_writer import replace_members
from protect.jobs.sample import publish_photo
from protect.publish.gate import BudgetError
from protect.publish.leaks import Originals, Scan
from protect.samples import Member, Sample
from protect.settings.publish import PublishSettings

COUNT, FIRST = int(os.environ.get("FUZZ_EXAMPLES", "400")), int(os.environ.get("FUZZ_SEED", "0"))
CAPTION = "a heron by the pond"
SECRET = b"\xd6SECRET-PREVIEW\xd7"
STRICT = PublishSettings(urls="strip", others="drop", mask=False, floor=None, max_pixels=20_000)
PICTURE = Image.effect_mandelbrot((24, 16), (-2, -1, 1, 1), 30).convert("RGB")
SEGMENTS = (0xE0, 0xE1, 0xE2, 0xEB, 0xED, 0xEE, 0xFE, 0xDB, 0xC4, 0xDD, 0xC0, 0xDA)
CHUNKS = (b"tEXt", b"zTXt", b"iTXt", b"eXIf", b"iCCP", b"pHYs", b"gAMA", b"tRNS", b"PLTE", b"acTL", b"fdAT", b"caBX")
STARTS = (b"", b"Exif\0\0", b"http://ns.adobe.com/xap/1.0/\0", b"Photoshop 3.0\0", b"ICC_PROFILE\0\1\1", b"MPF\0",
          b"Adobe\0", b"Description\0", b"XML:com.adobe.xmp\0\0\0\0\0")  # fmt: skip
NUMBERS = (0, 1, 0xFF, 0xFFFF, 0x7FFFFFFF, 0xFFFFFFFF)


def saved(kind, image=PICTURE, **options):
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def exif():
    block = Image.Exif()
    block[0x010E], block[0x0112], block[0x9286] = CAPTION, 6, CAPTION
    return block.tobytes() + SECRET


def seeds():
    text = PngImagePlugin.PngInfo()
    text.add_itxt("Description", CAPTION)
    text.add_text("Comment", CAPTION, zip=True)
    grey = PICTURE.convert("L")
    yield saved("JPEG", exif=exif(), comment=CAPTION.encode(), quality=90) + SECRET
    yield saved("JPEG", progressive=True, subsampling=2, dpi=(300, 300))
    yield saved("JPEG", PICTURE.convert("CMYK"), exif=exif())
    yield saved("JPEG", grey, icc_profile=b"\0" * 12 + b"mntrGRAY" + SECRET)
    yield saved("PNG", pnginfo=text, exif=exif(), dpi=(72, 72))
    yield saved("PNG", PICTURE.quantize(8), transparency=3)
    yield saved("PNG", Image.fromarray(np.asarray(grey).astype(np.uint16) * 257))
    yield saved("PNG", PICTURE.convert("RGBA"), pnginfo=text) + SECRET
    yield saved("WEBP", exif=exif(), quality=80)
    yield saved("WEBP", PICTURE.convert("RGBA"), lossless=True)


SEEDS = list(seeds())


def mutated(draw):
    """One of the seeds with a few of its bytes, segments or chunks changed, lost, repeated or pushed in."""
    data = bytearray(draw.choice(SEEDS))
    for _ in range(draw.randint(1, 5)):
        reach = len(data) if draw.random() < 0.4 else min(len(data), 600)
        at, extra = draw.randrange(max(1, reach)), draw.randbytes(draw.randint(1, 8))
        kind = draw.choice(("flip", "set", "insert", "cut", "repeat", "number", "block", "end"))
        if kind == "flip" and data:
            data[min(at, len(data) - 1)] ^= 1 << draw.randrange(8)
        elif kind == "set":
            data[at : at + len(extra)] = extra
        elif kind == "insert":
            data[at:at] = extra
        elif kind == "cut":
            del data[at : at + draw.randint(1, 200)]
        elif kind == "repeat":
            data[at:at] = data[at : at + draw.randint(1, 200)]
        elif kind == "number":
            data[at : at + 4] = struct.pack(draw.choice("<>") + "I", draw.choice(NUMBERS))
        elif kind == "block":
            data = block(draw, data)
        elif kind == "end":
            del data[len(data) - min(len(data), draw.randint(1, 60)) :]
    return checked(bytes(data)) if draw.random() < 0.7 else bytes(data)


def block(draw, data):
    """The file with a segment or chunk of any name in front; its length may be wrong."""
    body = draw.choice(STARTS) + draw.choice((CAPTION.encode(), exif(), draw.randbytes(draw.randint(0, 60)), SECRET))
    if data[:2] == b"\xff\xd8":
        head = bytes((0xFF, draw.choice(SEGMENTS))) + struct.pack(
            ">H", max(0, len(body) + 2 + draw.choice((0, 0, 0, -3, 3)))
        )
        return data[:2] + head + body + data[2:]
    if data[:4] == b"\x89PNG":
        name, at = draw.choice(CHUNKS), 33 if draw.random() < 0.8 else max(8, len(data) - 12)
        return (
            data[:at]
            + struct.pack(">I", len(body))
            + name
            + body
            + struct.pack(">I", zlib.crc32(name + body))
            + data[at:]
        )
    name = draw.choice((b"EXIF", b"XMP ", b"ICCP", b"ANIM", b"ALPH", b"C2PA"))
    content = bytes(data[8:]) + name + struct.pack("<I", len(body)) + body + bytes(len(body) % 2)
    return bytearray(b"RIFF" + struct.pack("<I", len(content)) + content)


def checked(data):
    """A PNG with sums that fit, so that its chunks are read."""
    if data[:8] != b"\x89PNG\r\n\x1a\n":
        return data
    out, at = bytearray(data), 8
    while at + 12 <= len(out):
        (length,) = struct.unpack_from(">I", out, at)
        if at + 12 + length > len(out):
            break
        struct.pack_into(">I", out, at + 8 + length, zlib.crc32(out[at + 4 : at + 8 + length]))
        at += 12 + length
    return bytes(out)


def check(data):
    """What becomes of a sample with this picture: "refused" or "written", never anything clean in the file."""
    sample = Sample("k", (Member("k.jpg", data), Member("k.txt", CAPTION.encode())))
    prepared = prepare(sample, STRICT)
    if isinstance(prepared, Failure):
        assert "\n" not in str(prepared) and str(prepared)
        return "refused"
    noise = np.where(np.indices(prepared.picture.size[::-1]).sum(0) % 2, 6, -6).astype(np.float32)[..., None]
    noise = noise if prepared.picture.image.mode in ("L", "LA", "I;16") else np.repeat(noise, 3, -1)
    try:
        written = publish_photo(prepared.picture, noise, 8, STRICT)
    except (ImageError, BudgetError) as error:
        assert str(error) and "\n" not in str(error)
        return "refused"
    changed = rewrite_captions(sample, lambda caption: f"dim {caption}", STRICT)
    out = replace_members(changed, {"jpg": written.data})
    assert captions_of(out, STRICT.caption_keys) == (f"dim {CAPTION}",)
    assert decode(written.data, STRICT.max_pixels).size == prepared.picture.size
    kept = prepared.picture.icc or b""
    assert CAPTION.encode() not in written.data.replace(kept, b"") and (SECRET not in written.data or SECRET in kept)
    known = Originals(STRICT.caption_keys)
    known.add("k", (CAPTION,), (f"dim {CAPTION}",))
    scan = Scan("x.tar", known)
    found = [leak for m in out.members for leak in scan.member("k", m.name, m.data)] + list(scan.finish())
    assert [leak for leak in found if not (kept and "APP2" in leak.detail)] == []
    return "written"


@pytest.mark.parametrize("data", SEEDS)
def test_the_seeds_themselves(data):
    assert check(data) == "written"


def test_pictures_with_changed_bytes():
    counts = {"refused": 0, "written": 0}
    for number in range(FIRST, FIRST + COUNT):
        data = mutated(random.Random(number))
        try:
            counts[check(data)] += 1
        except CaptionError as error:
            raise AssertionError(f"seed {number}") from error
        except Exception as error:
            raise AssertionError(f"seed {number}: {type(error).__name__}: {error}") from error
    assert min(counts.values()) > COUNT // 20, counts
