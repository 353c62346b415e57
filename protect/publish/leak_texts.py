"""Clean captions, links and hashes in texts, as a stranger who has the originals would look for them.

Nothing here is shared with the code that rewrites captions: a mistake there must not be repeated here.
"""

import base64
import hashlib
import html
import re
import unicodedata
import urllib.parse
from collections.abc import Collection, Iterable, Iterator
from functools import lru_cache

Finding = tuple[str, str]  # kind, detail

SHORT = 16  # letters of a caption from which on it counts inside a longer text too
FEW_WORDS = 3  # words of a caption from which on it counts in the files of another sample
DIGESTS = ("md5", "sha1", "sha224", "sha256", "sha384", "sha512")
CODECS = ("utf-8", "utf-16-le", "utf-16-be", "latin-1", "gb18030", "shift_jis", "euc_jp", "euc_kr", "big5", "cp1251")
HEX = re.compile(r"(?<![0-9a-zA-Z])[0-9a-fA-F]{16,128}(?![0-9a-zA-Z])")
BASE64 = re.compile(r"(?<![A-Za-z0-9+/_=-])[A-Za-z0-9+/_-]{22,86}={0,2}(?![A-Za-z0-9+/_=-])")
LINK_NAME = re.compile(
    r"(?:^|[^a-z])(?:urls?|uris?|hrefs?|links?|permalink|md5|md5sum|sha-?\d+|sha\d+sum|[adwp]hash|hash(?:es)?|checksums?"
    r"|etag|u?uid|guid|(?:image|photo|picture|flickr|asset|source|original|file)s? ?id)(?:$|[^a-z])"
)
PLACE_NAME = re.compile(r"(?:^|[^a-z])(?:gps\w*|latitude|longitude|geohash|geotag)")
ASCII_WORD = re.compile(r"[a-z0-9]+")
POSITION = re.compile(r"([-+]?\d{1,2}\.\d{3,})\s*[,; ]\s*([-+]?\d{1,3}\.\d{3,})")
ADDRESS = re.compile(r"(?i)(?:[a-z][a-z0-9+.-]*://|\bwww\.)([^\s/\"'<>]+)[^\s\"'<>]*")
HASH = re.compile(r"(?i)(?:md5|sha-?\d+)?[:=-]?(?:[0-9a-f]{32}|[0-9a-f]{40}|[0-9a-f]{56}|[0-9a-f]{64}|[0-9a-f]{128})")
PICTURE_PATH = re.compile(
    r"(?i)(?:.*[/\\])?[^/\\]+\.(?:jpe?g|png|webp|gif|tiff?|bmp|hei[cf]|avif|dng|cr2|nef|arw)(?:\?.*)?"
)
NO_ORIGINAL = re.compile(
    r"(?:.*\.)?(?:creativecommons\.org|gnu\.org|opensource\.org|w3\.org|purl\.org|ns\.adobe\.com|iptc\.org"
    r"|cipa\.jp|useplus\.org|schema\.org)$"
)


@lru_cache(1 << 14)
def normal(text: str) -> str:
    """A text without what a scraper's cleaning would take away: case, punctuation, escapes, odd spaces."""
    text = urllib.parse.unquote(text) if "%" in text else text
    text = text if text.isascii() and "&" not in text else unicodedata.normalize("NFKC", html.unescape(text))
    text = text.casefold()
    if text.isascii():
        return " ".join(ASCII_WORD.findall(text)) or " ".join(text.split())
    words = "".join(c if c.isalnum() or unicodedata.category(c).startswith("M") else " " for c in text).split()
    return " ".join(words) or " ".join(text.split())


class CleanTexts:
    """The clean captions and the hashes of the clean pictures, by sample key."""

    def __init__(self) -> None:
        self._own: dict[str, dict[str, str]] = {}  # key -> normal form -> as written
        self._published: dict[str, tuple[str, ...]] = {}
        self._anywhere: dict[str, str] = {}  # normal form -> key of a sample that has it
        self._digests: dict[bytes, tuple[str, str]] = {}  # digest -> key, its name

    def add(self, key: str, captions: Iterable[str], published: Iterable[str], files: Iterable[bytes] = ()) -> None:
        """`published`: the captions as they should be; where one is a clean one too, that gives nothing away.

        Where they are not known, a clean caption within a longer text is not looked for: it may be the protected one.
        """
        written = [normal(text) for text in published]
        own = {normal(text): text for text in captions}
        own = {form: text for form, text in own.items() if form and form not in written}
        self._own[key] = own
        if written:
            self._published[key] = tuple(sorted(written, key=len, reverse=True))
        for form in own:
            if len(form.split()) >= FEW_WORDS or (len(form) >= SHORT and not form.isascii()):
                self._anywhere.setdefault(form, key)
        for data in files:
            for name in DIGESTS:
                self._digests.setdefault(hashlib.new(name, data, usedforsecurity=False).digest(), (key, name))

    def add_digest(self, key: str, name: str, hexadecimal: str) -> None:
        """A hash of a clean file that is not at hand."""
        self._digests.setdefault(bytes.fromhex(hexadecimal), (key, name))

    def __contains__(self, key: str) -> bool:
        return key in self._own

    def in_text(self, key: str, text: str) -> Iterator[Finding]:
        """A clean caption in a text: as a line or a cell of it, or within a longer line of its own sample."""
        own, found = self._own.get(key, {}), set[str]()
        published = self._published.get(key, ())
        lines = (line for line in re.split(r"[\r\n\0]+", text) if normal(line) not in published)
        for part in (part for line in lines for part in _parts(line)):
            form = normal(part)
            if form in own:
                found.add("a clean caption")
            elif form in self._anywhere and form not in published:
                found.add(f"a clean caption of {self._anywhere[form]}")
        if not found and own and key in self._published:
            whole, long = f" {normal(text)} ", [form for form in own if len(form) >= SHORT]
            for form in filter(None, self._published[key]) if any(form in whole for form in long) else ():
                whole = whole.replace(f"{form} ", "| ")  # also twice running, and glued to what stands before
            if any(form in whole for form in long):
                found.add("a clean caption within a longer text")
        yield from (("caption", detail) for detail in sorted(found))

    def in_bytes(self, key: str, data: bytes) -> Iterator[Finding]:
        """A clean caption of the sample, in any usual encoding, in bytes that are no text."""
        for text in self._own.get(key, {}).values():
            if len(text) < SHORT // 2:
                continue
            for codec in CODECS:
                try:
                    hidden = text.encode(codec) in data
                except UnicodeEncodeError:
                    continue
                if hidden:
                    yield "caption", f"a clean caption in {codec}"
                    return

    def in_digests(self, text: str) -> Iterator[Finding]:
        """A hash of a clean file, written in hexadecimal or base64."""
        if not self._digests:
            return
        for found in HEX.finditer(text):
            if len(found[0]) % 2 == 0:
                yield from self._digest(bytes.fromhex(found[0]))
        for found in BASE64.finditer(text):
            plain = found[0].rstrip("=").replace("-", "+").replace("_", "/")
            if len(plain) % 4 != 1:
                yield from self._digest(base64.b64decode(plain + "=" * (-len(plain) % 4)))

    def in_digest_bytes(self, data: bytes) -> Iterator[Finding]:
        if len(data) <= 64:
            yield from self._digest(data)

    def _digest(self, digest: bytes) -> Iterator[Finding]:
        if digest in self._digests:
            key, name = self._digests[digest]
            yield "hash", f"{name} of the clean file of {key}"


def _parts(line: str) -> Iterator[str]:
    """A line, and its cells where it is a row of a table."""
    yield line
    if re.search(r"[,;|\t]", line):
        yield from re.split(r"[,;|\t]", line)
        yield from re.findall(r'"([^"]+)"', line)
        yield line.partition(",")[2]


def link_in(names: Collection[str], value: object, own: Collection[str]) -> str:
    """Why a value leads back to the original ("" if it does not): the names around it, or what it looks like."""
    if value is None or value == "" or value == b"" or isinstance(value, bool) or str(value) in own:
        return ""
    text = value if isinstance(value, str) else ""
    addresses = [found[1].lower() for found in ADDRESS.finditer(text)]
    if addresses and all(NO_ORIGINAL.match(host) for host in addresses):
        return ""
    for name in names:
        spaced = re.sub(r"[\s_.:-]+", " ", re.sub(r"(?<=[a-z0-9])(?=[A-Z])", " ", name)).lower()
        if LINK_NAME.search(spaced):
            return f"field {name}"
        if PLACE_NAME.search(spaced):
            return f"position {name}"
    text = text.strip()
    degrees = POSITION.fullmatch(text)
    if degrees and (abs(float(degrees[1])) > 1 or abs(float(degrees[2])) > 1):
        return "position in degrees"
    if addresses:
        return "an address"
    if HASH.fullmatch(text):
        return "a hash"
    if PICTURE_PATH.fullmatch(text) and "\n" not in text and re.split(r"[/\\]", text)[-1] not in own:
        return "a path"
    return ""
