"""What stands in a photo beside its pixels: captions read out, and a new set written that is known field by field.

Nothing is copied that is not named here. So thumbnails, previews, maker notes, serial numbers, edit histories and
the old captions cannot come along, wherever a camera or a program has put them.
"""

import re
import warnings
from dataclasses import dataclass, field
from typing import Any

from PIL import Image, ImageFile, IptcImagePlugin

from protect.data.metadata import iptc
from protect.data.metadata.xmp import CAPTIONS as XMP_CAPTIONS
from protect.data.metadata.xmp import RIGHTS as XMP_RIGHTS
from protect.data.metadata.xmp import is_marked, read_xmp, write_xmp
from protect.settings.publish import PhotoSettings

ORIENTATION, EXIF, GPS, WIDTH, HEIGHT = 0x0112, 0x8769, 0x8825, 0xA002, 0xA003
DESCRIPTION, USER_COMMENT = 0x010E, 0x9286
WIDE = (0x9C9C, 0x9C9B, 0x9C9F)  # Windows' comment, title, subject, in UTF-16
KEPT = frozenset({0x010F, 0x0110, 0x0131, 0x0132, 0x013B, 0x8298})  # camera, software, date, artist, copyright
KEPT_EXIF = frozenset(
    {0x829A, 0x829D, 0x8822, 0x8824, 0x8827, 0x8830, 0x8831, 0x8832, 0x9000, 0xA217}
    | set(range(0x9003, 0x9013))  # dates
    | set(range(0x9201, 0x920B))  # exposure
    | {0x9290, 0x9291, 0x9292, 0xA001, 0xA20E, 0xA20F, 0xA210}
    | set(range(0xA401, 0xA40B))
    | {0xA40C, 0xA432, 0xA433, 0xA434}  # lens, without its number
)
PNG_TEXTS = ("Description", "Caption", "Title", "Comment", "ImageDescription")
PNG_RIGHTS = ("Author", "Copyright")
CHARSETS = {b"ASCII\0\0\0": "utf-8", b"UNICODE\0": "utf-16", b"JIS\0\0\0\0\0": "iso2022_jp", bytes(8): "utf-8"}
NO_CAPTION = re.compile(  # what cameras and programs put where a caption belongs
    r"(olympus|minolta|samsung|kodak|sony|konica|casio|digital) .*camera.*|.*digital camera|sony dsc|dcim\\.*"
    r"|exif[_ ]jpeg.*|samsung|default|screenshot|charset=.*|created with .*|lead technologies.*|ac?di?see.*"
    r"|(cof|dav|edf|fbt|fhdr|hdrpl|mde|oznor|ptr|rhdr|rpt|sdr|btf|nor|vhdr|hpim|img_|dsc_?)\w{0,10}|[\W\d_]*",
    re.IGNORECASE,
)


@dataclass
class Metadata:
    """Captions by the place they stand in (`xmp:dc:description`, `exif:010e` ...), in order, and what is kept."""

    captions: dict[str, str] = field(default_factory=dict)
    rights: dict[str, tuple[str, ...]] = field(default_factory=dict)
    credits: dict[iptc.Field, str] = field(default_factory=dict)
    texts: dict[str, str] = field(default_factory=dict)
    exif: dict[int, Any] = field(default_factory=dict)
    details: dict[int, Any] = field(default_factory=dict)
    gps: dict[int, Any] = field(default_factory=dict)
    orientation: int = 1
    marked: bool = False
    motion: bool = False

    def _caption(self, place: str, text: str) -> None:
        text = " ".join(text.replace("\0", " ").split())
        if text and not NO_CAPTION.fullmatch(text):
            self.captions[place] = text


def read_metadata(image: ImageFile.ImageFile) -> Metadata:
    """Of a loaded picture; damaged parts read as absent."""
    found = Metadata()
    packet = image.info.get("xmp") or b""
    packet = packet.encode() if isinstance(packet, str) else bytes(packet)
    found.marked = is_marked(packet)
    found.motion = b"MotionPhoto" in packet or b"MicroVideo" in packet
    named = read_xmp(packet)
    found.rights = {name: values for name, values in named.items() if name in XMP_RIGHTS}
    for name in XMP_CAPTIONS:
        found._caption(f"xmp:{name}", named.get(name, ("",))[0])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Pillow warns of damage; the fields it cannot read are left out
        _read_iptc(image, found)
        _read_exif(image, found)
    _read_texts(image, found)
    return found


def _read_iptc(image: ImageFile.ImageFile, found: Metadata) -> None:
    try:
        fields = IptcImagePlugin.getiptcinfo(image) or {}
    except (SyntaxError, ValueError, TypeError, AttributeError, OSError):
        return
    utf8 = fields.get((1, 90)) == iptc.UTF8
    for dataset in iptc.CAPTIONS:
        found._caption(f"iptc:{dataset[1]}", iptc.text_of(fields.get(dataset), utf8))
    for dataset in iptc.RIGHTS:
        if text := iptc.text_of(fields.get(dataset), utf8).strip("\0 "):
            found.credits[dataset] = text


def _read_exif(image: ImageFile.ImageFile, found: Metadata) -> None:
    try:
        exif = image.getexif()
        details, gps = dict(exif.get_ifd(EXIF)), dict(exif.get_ifd(GPS))
    except Exception:  # hostile bytes: Pillow's parser raises nearly anything
        return
    found.exif = {tag: exif[tag] for tag in KEPT & set(exif)}
    found.details = {tag: details[tag] for tag in KEPT_EXIF & set(details)}
    found.gps = gps
    orientation = exif.get(ORIENTATION)
    found.orientation = orientation if isinstance(orientation, int) and 1 <= orientation <= 8 else 1
    description = exif.get(DESCRIPTION)
    found._caption("exif:010e", _mended(description) if isinstance(description, str) else "")
    found._caption("exif:9286", _comment_text(details.get(USER_COMMENT)))
    for tag in WIDE:
        value = exif.get(tag)
        data = bytes(value) if isinstance(value, bytes | tuple) else b""
        found._caption(f"exif:{tag:04x}", data.decode("utf-16-le", errors="ignore"))


def _mended(text: str) -> str:
    """EXIF text that was UTF-8 all along, as most programs write it; Pillow reads Latin-1."""
    try:
        return text.encode("latin-1").decode()
    except UnicodeError:
        return text


def _comment_text(value: Any) -> str:
    if isinstance(value, str):
        return value
    if not isinstance(value, bytes):
        return ""
    charset = CHARSETS.get(value[:8])
    if charset == "utf-16" and value[8:10] not in (b"\xff\xfe", b"\xfe\xff"):
        zeros = value[8::2].count(0), value[9::2].count(0)  # most text is Latin: the zeros tell the byte order
        charset = "utf-16-be" if zeros[0] > zeros[1] else "utf-16-le"
    return (value[8:] if charset else value).decode(charset or "utf-8", errors="ignore")


def _read_texts(image: ImageFile.ImageFile, found: Metadata) -> None:
    """Text chunks of a PNG, the comment of a JPEG."""
    texts = getattr(image, "text", {})
    for name in PNG_TEXTS:
        found._caption(f"exif:text {name}", str(texts.get(name, "")))
    found.texts = {name: str(texts[name]) for name in PNG_RIGHTS if name in texts}
    comment = image.info.get("comment", b"")
    if image.format == "JPEG" and isinstance(comment, bytes):
        found._caption("exif:comment", comment.decode("utf-8", errors="replace"))


@dataclass(frozen=True)
class Written:
    """The metadata of a new file: EXIF, an XMP packet, IPTC records (may be empty), PNG texts, a JPEG comment."""

    exif: Image.Exif
    xmp: bytes
    iptc: bytes
    texts: dict[str, str]
    comment: bytes


def new_metadata(old: Metadata, caption: str, size: tuple[int, int], settings: PhotoSettings) -> Written:
    """What the protected file of width x height `size` gets: `caption` wherever `old` had one, alike everywhere."""
    places = set(old.captions) if caption else set()
    exif = Image.Exif()
    for tag, value in old.exif.items():
        exif[tag] = value
    exif[ORIENTATION] = 1
    details = exif.get_ifd(EXIF)
    details |= old.details | {WIDTH: size[0], HEIGHT: size[1]}
    if "exif:010e" in places:
        exif[DESCRIPTION] = caption.encode()
    if "exif:9286" in places:
        details[USER_COMMENT] = b"UNICODE\0" + caption.encode("utf-16-be")
    for tag in WIDE:
        if f"exif:{tag:04x}" in places:
            exif[tag] = caption.encode("utf-16-le") + b"\0\0"
    if settings.keep_gps and old.gps:
        exif.get_ifd(GPS).update(old.gps)
    named = [place.partition(":")[2] for place in old.captions if place.startswith("xmp:") and caption]
    fields = old.credits | {field: caption for field in iptc.CAPTIONS if f"iptc:{field[1]}" in places}
    return Written(
        exif=exif,
        xmp=write_xmp(named, caption, old.rights, settings.opt_out),
        iptc=iptc.write_iptc(fields),
        texts=old.texts | {name: caption for name in PNG_TEXTS if f"exif:text {name}" in places},
        comment=caption.encode() if "exif:comment" in places else b"",
    )
