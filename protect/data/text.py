"""Text in files: read in the encoding it stands in, written back in the same one."""

import html
import re
import unicodedata
import urllib.parse
from typing import NamedTuple

BOM = "\ufeff"
MARKS = (  # the longer mark first: UTF-32's begins like UTF-16's
    (b"\xff\xfe\0\0", "utf-32-le"),
    (b"\0\0\xfe\xff", "utf-32-be"),
    (b"\xff\xfe", "utf-16-le"),
    (b"\xfe\xff", "utf-16-be"),
)
INVISIBLE = re.compile("[\u00ad\u200b-\u200f\u202a-\u202e\u2060-\u2064\ufeff]")
LINE = re.compile(rf"[^\s{BOM}](?:[^\r\n]*[^\s{BOM}])?")  # one caption: a line without the whitespace around it
WORD = re.compile(r"[^\W_]+")
ESCAPED = re.compile(r"%[0-9A-Fa-f]{2}")
MOST_CONTROLS = 0.1  # share of control characters above which bytes are no text


class Text(NamedTuple):
    """A decoded text and the codec that gives its bytes back; a byte order mark stays in the text."""

    text: str
    encoding: str

    def encode(self, text: str) -> bytes:
        """Other text in the same encoding."""
        return text.encode(self.encoding)


def read_text(data: bytes) -> Text:
    """Unicode text: UTF-8, or UTF-16 and UTF-32 by their marks or their zero bytes. Raises UnicodeDecodeError."""
    encoding = next((name for mark, name in MARKS if data.startswith(mark)), None) or _unmarked(data)
    return Text(data.decode(encoding), encoding)


def is_text(data: bytes) -> bool:
    """Whether bytes are Unicode text that people could read."""
    try:
        text = read_text(data).text
    except UnicodeDecodeError:
        return False
    controls = sum(unicodedata.category(c) == "Cc" and not c.isspace() for c in text)
    return controls <= MOST_CONTROLS * len(text)


def fold(text: str) -> str:
    """What two captions have in common that differ in whitespace, case, character forms or HTML escapes only."""
    if not text.isascii() or "&" in text:
        text = INVISIBLE.sub("", unicodedata.normalize("NFKC", html.unescape(text)))
    return " ".join(text.split()).casefold()


def bare(text: str) -> str:
    """The words of a text alone, as file names and addresses too spell them; where it has none, all of it."""
    folded = fold(urllib.parse.unquote(text) if ESCAPED.search(text) else text)
    return " ".join(WORD.findall(folded)) or folded


def _unmarked(data: bytes) -> str:
    """UTF-16 without a mark has a zero in every second byte of plain letters; all else is taken for UTF-8."""
    half = len(data) // 2
    if half and len(data) % 2 == 0 and b"\0" in data:
        even, odd = data[::2].count(0), data[1::2].count(0)
        if odd > 0.4 * half and even < 0.05 * half:
            return "utf-16-le"
        if even > 0.4 * half and odd < 0.05 * half:
            return "utf-16-be"
    return "utf-8"
