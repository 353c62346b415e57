"""EXIF: the captions in it, and the entries that are kept, named one by one."""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import replace

from protect.data.metadata.tiff import ASCII, BYTE, UNDEFINED, Block, Entry

ORIENTATION, WIDTH, HEIGHT = 0x0112, 0xA002, 0xA003
X_RESOLUTION, Y_RESOLUTION, RESOLUTION_UNIT = 0x011A, 0x011B, 0x0128
DESCRIPTION, USER_COMMENT, KEYWORDS = 0x010E, 0x9286, 0x9C9E
WIDE = (0x9C9C, 0x9C9B, 0x9C9F)  # Windows' comment, title, subject, in UTF-16
KEPT = frozenset(
    {0x010F, 0x0110, 0x0131, 0x0132, 0x013B, 0x8298}  # camera, software, date, artist, copyright
    | {X_RESOLUTION, Y_RESOLUTION, RESOLUTION_UNIT, ORIENTATION}
    | {0x013E, 0x013F, 0x0211, 0x0213, 0x0214}  # how the colours are meant
    | {0x4746, 0x4749, 0x9C9D}  # rating, rating in percent, author
)
KEPT_DETAILS = frozenset(
    {0x829A, 0x829D, 0x8822, 0x8824, 0x8827, 0x8830, 0x8831, 0x8832, 0x8833, 0x8834, 0x8835, 0x9000, 0xA217}
    | set(range(0x9003, 0x9013))  # dates
    | {0x9101, 0xA000}  # what the standard asks for
    | set(range(0x9201, 0x920B))  # exposure
    | {0x9290, 0x9291, 0x9292, 0xA001, 0xA20E, 0xA20F, 0xA210}
    | set(range(0xA401, 0xA40B))
    | {0xA40C, 0xA432, 0xA433, 0xA434}  # lens, without its number
    | {WIDTH, HEIGHT, 0xA500}
)
KEPT_INTEROP = frozenset({0x0001, 0x0002})  # the index says that an uncalibrated picture is in Adobe RGB
OF_JPEG = frozenset({0x0211, 0x0213, 0x0214})  # of YCbCr: a TIFF is written as RGB
READ = KEPT | {DESCRIPTION, KEYWORDS, 0x8769, 0x8825, *WIDE}
CHARSETS = {b"ASCII\0\0\0": "utf-8", b"UNICODE\0": "utf-16", b"JIS\0\0\0\0\0": "iso2022_jp", bytes(8): "utf-8"}
INCH = 2.54  # centimetres


def kept(block: Block) -> Block:
    """The entries of a block that are written again: none with a caption, a place, a number or a preview."""
    return Block(
        block.order,
        {tag: entry for tag, entry in block.main.items() if tag in KEPT},
        {tag: entry for tag, entry in block.details.items() if tag in KEPT_DETAILS},
        {},
        {tag: entry for tag, entry in block.interop.items() if tag in KEPT_INTEROP},
    )


def captions(block: Block) -> Iterator[tuple[str, str]]:
    """Name of the place and text of each caption."""
    if DESCRIPTION in block.main:
        yield f"{DESCRIPTION:04x}", text_of(block.main[DESCRIPTION].data)
    if USER_COMMENT in block.details:
        yield f"{USER_COMMENT:04x}", _comment(block.details[USER_COMMENT].data, block.order)
    for tag in WIDE:
        if tag in block.main:
            yield f"{tag:04x}", block.main[tag].data.decode("utf-16-le", errors="ignore")


def with_caption(block: Block, caption: str, places: Collection[str]) -> Block:
    """A block with the caption in the places named."""
    new = replace(block, main=dict(block.main), details=dict(block.details))
    if f"{DESCRIPTION:04x}" in places:
        new.main[DESCRIPTION] = Entry(ASCII, caption.encode() + b"\0")
    if f"{USER_COMMENT:04x}" in places:
        wide = "utf-16-le" if block.order == "<" else "utf-16-be"
        text = b"ASCII\0\0\0" + caption.encode() if caption.isascii() else b"UNICODE\0" + caption.encode(wide)
        new.details[USER_COMMENT] = Entry(UNDEFINED, text)
    for tag in WIDE:
        if f"{tag:04x}" in places:
            new.main[tag] = Entry(BYTE, caption.encode("utf-16-le") + b"\0\0")
    return new


def without(block: Block, texts: Collection[str]) -> Block:
    """A block without the entries that hold one of the texts."""
    coded = [text.encode(form) for text in texts for form in ("utf-8", "utf-16-le", "utf-16-be")]

    def silent(part: Mapping[int, Entry]) -> dict[int, Entry]:
        return {tag: entry for tag, entry in part.items() if not any(text in entry.data for text in coded)}

    return replace(block, main=silent(block.main), details=silent(block.details))


def upright(block: Block, size: tuple[int, int]) -> Block:
    """A block for the upright picture of width x height `size`: what it says of side and size is set right."""
    new = replace(block, main=dict(block.main), details=dict(block.details))
    if ORIENTATION in new.main:
        if orientation(block) > 4:  # turned by a quarter
            sides = {X_RESOLUTION: Y_RESOLUTION, Y_RESOLUTION: X_RESOLUTION}
            new.main |= {a: block.main[b] for a, b in sides.items() if a in block.main and b in block.main}
        new.main[ORIENTATION] = new.short(1)
    for tag, side in ((WIDTH, size[0]), (HEIGHT, size[1])):
        if tag in new.details:
            new.details[tag] = new.long(side)
    return new


def orientation(block: Block) -> int:
    """1 to 8; 1 where the block says none."""
    value = block.number(block.main, ORIENTATION)
    return int(value) if value is not None and 1 <= value <= 8 else 1


def dpi(block: Block) -> tuple[float, float] | None:
    """Pixels an inch; None where the block says none."""
    unit = block.number(block.main, RESOLUTION_UNIT)
    factor = INCH if unit == 3 else 1.0 if unit in (None, 2) else None
    x, y = block.number(block.main, X_RESOLUTION), block.number(block.main, Y_RESOLUTION)
    return (x * factor, y * factor) if factor and x and y else None


def keywords(block: Block) -> list[str]:
    """Windows' keywords."""
    entry = block.main.get(KEYWORDS)
    text = entry.data.decode("utf-16-le", errors="ignore") if entry else ""
    return [word.strip("\0 ") for word in text.split(";") if word.strip("\0 ")]


def text_of(data: bytes) -> str:
    """A text of EXIF or IPTC: UTF-8, as most programs write it, or what Windows and old cameras write."""
    data = data.rstrip(b"\0")
    try:
        return data.decode()
    except UnicodeDecodeError:
        return data.decode("cp1252", errors="replace")


def _comment(data: bytes, order: str) -> str:
    charset = CHARSETS.get(data[:8])
    if charset is None:
        return text_of(data)
    data = data[8:]
    if charset == "utf-16" and data[:2] not in (b"\xff\xfe", b"\xfe\xff"):
        low, high = data[::2].count(0), data[1::2].count(0)  # most text is Latin: the zeros tell the byte order
        little = high > low if high != low else order == "<"
        charset = "utf-16-le" if little else "utf-16-be"
    return text_of(data) if charset == "utf-8" else data.decode(charset, errors="ignore")
