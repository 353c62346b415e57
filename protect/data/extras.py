"""Members and values beside the picture and its captions that may hold either: what they are, by their bytes."""

import base64
import binascii
import re
from collections.abc import Callable
from typing import Any

from protect.data.file_types import HEAD, kind_of
from protect.data.text import BOM, is_text, read_text

LABEL = 8  # bytes: what is no longer than this, without zeros, is a label or a number and no picture
ARRAY = 64  # numbers in a list from which on it may be pixels, an embedding or a caption's tokens
ENCODED = 128  # characters from which on base64 may hold more than a hash
NAMES = {"AVIF": "an AVIF picture", "MOVIE": "a movie", "RAW": "a raw photo", "JXL": "a JPEG XL picture"}
MAGICS = (
    (b"\x93NUMPY", "a NumPy array"),
    (b"PK\x03\x04", "a zip archive (NumPy, PyTorch and the like)"),
    (b"\x80\x02", "a pickle"),
    (b"\x80\x03", "a pickle"),
    (b"\x80\x04", "a pickle"),
    (b"\x80\x05", "a pickle"),
    (b"\x1f\x8b", "packed data"),
    (b"\x28\xb5\x2f\xfd", "packed data"),
    (b"%PDF", "a PDF"),
    (b"PAR1", "a parquet"),
    (b"\x00\x05\x16\x07", "a macOS file"),
)
BASE64 = re.compile(r"[A-Za-z0-9+/_\s-]+={0,2}\s*")
DATA_ADDRESS = re.compile(r"\s*data:[^,]{0,200},")
WRITTEN = re.compile(r"data:[\w/+.;=-]{0,100};base64,[\w+/=%-]{40,}|(?<![\w+/-])[A-Za-z0-9+/_-]{512,}={0,2}")
NUMBERS = re.compile(r"\s*(?:P[1-3]\s)?[\s\d.,;:|+\-eE\[\](){}]*")
NUMBER = re.compile(r"\d+(?:\.\d*)?")
WRITTEN_OUT, MANY_NUMBERS = "a picture or file written out as text", "a list of many numbers"


def is_litter(name: str) -> bool:
    """Whether a member is what macOS leaves in archives: `._NAME`, which holds a preview, and its like."""
    parts = name.rstrip("/").split("/")
    return parts[-1].startswith("._") or parts[-1] == ".DS_Store" or "__MACOSX" in parts


def what_is(data: bytes) -> str:
    """What bytes are that may hold a picture, an array or a text that cannot be read; "" for a label or a text."""
    kind = kind_of(data[:HEAD])
    if kind:
        return NAMES.get(kind, f"a {kind} picture")
    if len(data.replace(b"\0", b"")) <= LABEL:
        return ""
    named = next((name for magic, name in MAGICS if data.startswith(magic)), "")
    if named:
        return named
    return _encoded(read_text(data).text) if is_text(data) else "binary data"


def what_is_value(value: Any) -> str:
    """The same for a value of JSON or of a table: bytes, a text of base64, a list of many numbers; "" for others."""
    if isinstance(value, bytes):
        return what_is(value)
    if isinstance(value, str):
        return _encoded(value)
    if isinstance(value, list | tuple) and _numbers(value, ARRAY) >= ARRAY:
        return MANY_NUMBERS
    return ""


def written_out(text: str, change: Callable[[str, str], str]) -> str:
    """A text with each picture or file that is written out within it as `change(part, what it is)` has it."""
    return WRITTEN.sub(lambda found: change(found[0], WRITTEN_OUT), text) if len(text) > ENCODED else text


def _numbers(value: Any, enough: int) -> int:
    """How many numbers nested lists hold, counted up to `enough`."""
    count = 0
    for inner in value:
        if isinstance(inner, list | tuple):
            count += _numbers(inner, enough - count)
        elif isinstance(inner, int | float) and not isinstance(inner, bool):
            count += 1
        if count >= enough:
            break
    return count


def _encoded(text: str) -> str:
    if DATA_ADDRESS.match(text[:300]):
        return WRITTEN_OUT
    if len(text) >= ARRAY and NUMBERS.fullmatch(text.lstrip(BOM)) and len(NUMBER.findall(text)) >= ARRAY:
        return MANY_NUMBERS
    if len(text) < ENCODED or not BASE64.fullmatch(text) or len(text.split()) > 2 + len(text) // 60:
        return ""  # words of a sentence are shorter than the lines of base64
    head = re.sub(r"\s", "", text[:400]).replace("-", "+").replace("_", "/")[: 4 * (HEAD // 3)]
    try:
        return what_is(base64.b64decode(head, validate=True)) and WRITTEN_OUT
    except binascii.Error:
        return ""
