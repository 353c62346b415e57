"""What stands in a photo beside its pixels: captions read out, and a new set written that is known field by field.

Nothing is copied that is not named here or in the modules of this folder. So thumbnails, previews, maker notes,
serial numbers, edit histories and the old captions cannot come along, wherever a camera or a program has put them.
docs/output.md says what happens to each kind of field.
"""

import warnings
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from io import BufferedIOBase

from PIL import ImageFile, IptcImagePlugin

from protect.data.metadata import exif, iptc, tiff
from protect.data.metadata.no_caption import is_no_caption
from protect.data.metadata.tiff import Block
from protect.data.metadata.xmp import CAPTIONS as XMP_CAPTIONS
from protect.data.metadata.xmp import KEPT as XMP_KEPT
from protect.data.metadata.xmp import KEYWORDS, PLACE, is_marked, is_opted_out, read_xmp, write_xmp
from protect.settings.publish import PhotoSettings

PNG_TEXTS = ("Description", "Caption", "Title", "Comment", "ImageDescription")
PNG_RIGHTS = ("Author", "Copyright")
TELLING = 4  # words of a caption that is looked for in kept fields; a shorter one may be a name
SEGMENT = 65_533  # bytes that a segment of a JPEG holds
XMP_HEAD, IPTC_HEAD = 29, 27  # of which so many tell what it is


@dataclass
class Metadata:
    """Captions by the place they stand in (`xmp:dc:description`, `exif:010e` ...), in order, and what is kept.

    `kind` is that of the file, as Pillow names it. `named` are the fields of the XMP packet. `keywords` are only
    counted: they describe a photo as a caption does, and are left out. `marked`: this tool wrote the file.
    `opted_out`: the file says that it must not be used for training.
    """

    kind: str = ""
    captions: dict[str, str] = field(default_factory=dict)
    named: dict[str, tuple[str, ...]] = field(default_factory=dict)
    credits: dict[iptc.Field, tuple[str, ...]] = field(default_factory=dict)
    texts: dict[str, str] = field(default_factory=dict)
    exif: Block = field(default_factory=Block)
    gps: tiff.Directory = field(default_factory=dict)
    orientation: int = 1
    keywords: frozenset[str] = frozenset()
    marked: bool = False
    opted_out: bool = False
    motion: bool = False

    def _caption(self, place: str, text: str) -> None:
        text = " ".join(text.encode("utf-8", "ignore").decode().replace("\0", " ").split())
        if not is_no_caption(text):
            self.captions[place] = text


def read_metadata(image: ImageFile.ImageFile, file: BufferedIOBase | None = None) -> Metadata:
    """Of a picture, and of the file it was opened from where that is a TIFF; damaged parts read as absent."""
    found = Metadata(kind=image.format or "")
    packet = image.info.get("xmp") or b""
    packet = packet.encode() if isinstance(packet, str) else bytes(packet)
    found.marked, found.opted_out = is_marked(packet), is_opted_out(packet)
    found.motion = b"MotionPhoto" in packet or b"MicroVideo" in packet
    found.named = read_xmp(packet)
    for name in XMP_CAPTIONS:
        found._caption(f"xmp:{name}", found.named.get(name, ("",))[0])
    found.keywords = frozenset(word for name in KEYWORDS for word in found.named.get(name, ()))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Pillow warns of damage; the fields it cannot read are left out
        _read_iptc(image, found)
        _read_exif(image, file, found)
    _read_texts(image, found)
    return found


def _read_iptc(image: ImageFile.ImageFile, found: Metadata) -> None:
    try:
        fields = IptcImagePlugin.getiptcinfo(image) or {}
    except Exception:  # hostile bytes: Pillow's parser raises nearly anything
        return
    for dataset in iptc.CAPTIONS:
        found._caption(f"iptc:{dataset[1]}", next(iter(iptc.texts_of(fields.get(dataset))), ""))
    for dataset in iptc.KEPT:
        if texts := iptc.texts_of(fields.get(dataset)):
            found.credits[dataset] = texts
    found.keywords |= set(iptc.texts_of(fields.get(iptc.KEYWORDS)))


def _read_exif(image: ImageFile.ImageFile, file: BufferedIOBase | None, found: Metadata) -> None:
    block, turned = _block_of(image, file)
    if block is None:
        return
    found.exif, found.gps = exif.kept(block), block.gps
    found.orientation = turned or exif.orientation(block)
    found.keywords |= set(exif.keywords(block))
    for place, text in exif.captions(block):
        found._caption(f"exif:{place}", text)


def _block_of(image: ImageFile.ImageFile, file: BufferedIOBase | None) -> tuple[Block | None, int]:
    """The EXIF of a picture as its file has it, and its orientation where something else tells that (else 0)."""
    if image.format == "TIFF":
        return (tiff.read_tiff(file, exif.READ) if file else None), _left_to_turn(image)
    if image.format == "AVIF":  # Pillow writes its EXIF anew, and what is not ASCII as question marks
        data, turned = image._decoder.get_info()[4:6]  # type: ignore[attr-defined]
        return tiff.read_block(bytes(data or b"")) or Block(), int(turned)
    data = image.info.get("exif") or _hex_profile(image.info.get("Raw profile type exif"))
    return (tiff.read_block(bytes(data)) if isinstance(data, bytes) else None), 0


def _left_to_turn(image: ImageFile.ImageFile) -> int:
    """The orientation of a TIFF as it is in memory: Pillow turns it upright when it loads the pixels."""
    try:
        value = image.getexif().get(exif.ORIENTATION)
    except Exception:  # hostile bytes: Pillow's parser raises nearly anything
        return 1
    return int(value) if isinstance(value, int) and 1 <= value <= 8 else 1


def _hex_profile(text: object) -> bytes:
    """The EXIF that ImageMagick keeps in a text of a PNG: a name, a length, and lines of hexadecimal digits."""
    try:
        return bytes.fromhex("".join(str(text or "").split("\n")[3:]))
    except ValueError:
        return b""


def _read_texts(image: ImageFile.ImageFile, found: Metadata) -> None:
    """Text chunks of a PNG, the comment of a JPEG."""
    texts = getattr(image, "text", {})
    for name in PNG_TEXTS:
        found._caption(f"exif:text {name}", str(texts.get(name, "")))
    found.texts = {name: str(texts[name]) for name in PNG_RIGHTS if name in texts}
    comment = image.info.get("comment", b"")
    if image.format == "JPEG" and isinstance(comment, bytes):
        found._caption("exif:comment", exif.text_of(comment))


@dataclass(frozen=True)
class Written:
    """The metadata of a new file: EXIF, an XMP packet, IPTC records (may be empty), PNG texts, a JPEG comment.

    `notes` say where the caption could not be written.
    """

    exif: Block
    xmp: bytes
    iptc: bytes
    texts: dict[str, str]
    comment: bytes
    notes: tuple[str, ...] = ()


def new_metadata(old: Metadata, caption: str, size: tuple[int, int], settings: PhotoSettings) -> Written:
    """What the protected file of width x height `size` gets: `caption` wherever `old` had one, alike everywhere.

    Raises ValueError where what is kept is more than a JPEG can hold.
    """
    places = [place for place in old.captions if caption]
    new = _written(old, caption, places, size, settings)
    if old.kind != "JPEG":
        return new
    if len(new.iptc) > SEGMENT - IPTC_HEAD:
        raise ValueError("expected IPTC texts of at most 64 kB, found more; make them shorter")
    for start, name, limit in (("exif:", "EXIF", SEGMENT), ("xmp:", "XMP", SEGMENT - XMP_HEAD)):
        data = tiff.write_block(new.exif) if name == "EXIF" else new.xmp
        if len(data) > limit or (name == "EXIF" and len(new.comment) > limit):
            places = [place for place in places if not place.startswith(start)]
            note = f"the caption is too long for {name} in a JPEG, and is left out there"
            new = replace(_written(old, caption, places, size, settings), notes=(*new.notes, note))
            if len(tiff.write_block(new.exif) if name == "EXIF" else new.xmp) > limit:
                raise ValueError(f"expected {name} of at most 64 kB, found more; make its texts shorter")
    return new


def _written(
    old: Metadata, caption: str, places: list[str], size: tuple[int, int], settings: PhotoSettings
) -> Written:
    told = [text for text in old.captions.values() if text != caption and len(text.split()) >= TELLING]
    block = exif.with_caption(
        exif.without(old.exif, told), caption, {place[5:] for place in places if place.startswith("exif:")}
    )
    block = replace(exif.upright(block, size), gps=old.gps if settings.keep_gps else {})
    if old.kind == "AVIF":  # Pillow would write a block with an orientation anew
        block.main.pop(exif.ORIENTATION, None)
    if old.kind == "TIFF":
        block.main = {tag: entry for tag, entry in block.main.items() if tag not in exif.OF_JPEG}
    named = {name: _without(values, told) for name, values in kept_fields(old.named, settings.keep_gps).items()}
    credits = {field: _without(values, told) for field, values in old.credits.items()}
    captions = {field: (caption,) for field in iptc.CAPTIONS if f"iptc:{field[1]}" in places}
    texts = {name: text for name, text in old.texts.items() if _without((text,), told)}
    return Written(
        exif=block,
        xmp=write_xmp(
            [place[4:] for place in places if place.startswith("xmp:")],
            caption,
            {name: values for name, values in named.items() if values},
            settings.opt_out,
        ),
        iptc=iptc.write_iptc({field: values for field, values in credits.items() if values} | captions),
        texts=texts | {name: caption for name in PNG_TEXTS if f"exif:text {name}" in places},
        comment=caption.encode() if "exif:comment" in places else b"",
    )


def _without(values: tuple[str, ...], told: Collection[str]) -> tuple[str, ...]:
    """The values that hold none of the captions: a credit in which the caption stands too would give it away."""
    return tuple(value for value in values if not any(text in " ".join(value.split()) for text in told))


def kept_fields(named: Mapping[str, tuple[str, ...]], keep_gps: bool) -> dict[str, tuple[str, ...]]:
    """Of the fields of an XMP packet those that a new one gets too."""
    wanted = XMP_KEPT | (PLACE if keep_gps else {})
    return {name: values for name, values in named.items() if name in wanted}
