"""What leads back to the clean original: addresses, paths, hashes, ids and places, by name and by value."""

import re
from collections.abc import Collection
from itertools import pairwise
from typing import Any

WORD = re.compile(r"[A-Z]{2,}(?![a-z])\d*|[A-Z]?[a-z]+\d*|\d+")
LINKS = (
    "url urls uri uris iri href link links permalink sha sha1 sha224 sha256 sha384 sha512 md4 md5 md5sum sha1sum "
    "sha256sum crc crc32 phash dhash ahash whash blockhash imagehash hash hashes checksum checksums digest etag "
    "fingerprint uid uids uuid guid filename filenames filepath filepaths path paths"
)
NO_LINKS = ("curl", "hurl", "purl", "furl", "burl", "knurl", "churl", "unfurl", "uncurl")
OWNERS = "image img photo picture pic file asset media original orig flickr source"  # their id is the picture's
SITES = "coco laion yfcc unsplash pexels pixabay wikimedia getty shutterstock instagram"
PLACES = "latitude longitude lat lon lng geo geotag geolocation geohash coords coordinates latlon latlng lonlat"
LINK_WORDS, PLACE_WORDS = frozenset(LINKS.split()), frozenset(PLACES.split())
HAS_ID = frozenset((*OWNERS.split(), *SITES.split()))
IMAGE_NAME = r"(?:jpe?g?|jfif|png|webp|gif|tiff?|bmp|hei[cf]|avif|jxl|jp2|psd|dng|cr[23]|nef|arw|orf|raf|rw2|raw|svg)"
INSIDE = re.compile(  # what is found within a longer text too: addresses, and hashes of 16 to 64 bytes
    r"(?i)\b[a-z][a-z0-9+.-]{1,20}:/{2,3}[^\s\"'<>\\]+|\bwww\.[\w-]+\.[^\s\"'<>\\]+"
    r"|(?<![0-9a-z])(?:[0-9a-f]{32}|[0-9a-f]{40}|[0-9a-f]{56}|[0-9a-f]{64}|[0-9a-f]{96}|[0-9a-f]{128})(?![0-9a-z])"
)
HARMLESS = re.compile(  # licences and the names of metadata formats: no picture is found there
    r"(?i)https?://(?:www\.)?(?:creativecommons\.org|gnu\.org|opensource\.org|w3\.org|purl\.org|ns\.adobe\.com"
    r"|iptc\.org|cipa\.jp|ns\.useplus\.org|schema\.org)(?:/|$)"
)
WHOLE = re.compile(
    rf"""(?ix)
      (?:[a-z0-9-]+\.)+[a-z]{{2,}}(?::\d+)?/\S*            # an address without its scheme
    | //[a-z0-9-]+\.\S+ | (?:urn|doi|magnet|ipfs|ark|hdl|flickr|{SITES.replace(" ", "|")}):\S+
    | qm[1-9a-z]{{44}} | baf[a-z2-7]{{56}}                   # a content id of IPFS
    | [^\r\n]{{1,1000}}\.{IMAGE_NAME}(?:[?\#]\S*)?         # a picture's name or path
    | (?:~|[a-z]:|\\)?[/\\][^\s/\\]+[/\\]\S.*              # an absolute path
    | (?:(?:md5|sha-?\d+)[:=-])?(?:[0-9a-f]{{32}}|[0-9a-f]{{40}}|[0-9a-f]{{56}}|[0-9a-f]{{64}}|[0-9a-f]{{96}}
        |[0-9a-f]{{128}})                                  # a hash
    | (?=[0-9a-f]*[a-f])(?=[0-9a-f]*\d)[0-9a-f]{{16}}      # a perceptual hash
    | (?:(?:md5|sha-?\d+)[:=-])?(?:[a-z0-9+/_-]{{22}}==|[a-z0-9+/_-]{{27}}=|[a-z0-9+/_-]{{43}}=|[a-z0-9+/_-]{{86}}==)
    | \{{?[0-9a-f]{{8}}-(?:[0-9a-f]{{4}}-){{3}}[0-9a-f]{{12}}\}}?
    """
)
POSITION = re.compile(r"\s*[-+]?\d{1,2}\.\d{3,}\s*[,; ]\s*[-+]?\d{1,3}\.\d{3,}\s*")
GPS_TEXT = re.compile(r"(?i)gps\s*[a-z]*?(?:latitude|longitude|position|coordinates)")


def words_of(name: str) -> tuple[str, ...]:
    """The words of a field name, in lower case: imageURLs, image_urls and image-urls are all (image, urls)."""
    words = [w.lower() for w in WORD.findall(re.sub(r"UR[LI]s", lambda plural: plural[0].capitalize(), name))]
    for at in range(len(words) - 1, 0, -1):  # sha-256
        if words[at].isdigit() and words[at - 1] in ("sha", "md"):
            words[at - 1 : at + 1] = [words[at - 1] + words[at]]
    return tuple(words)


def is_link(name: str) -> bool:
    """Whether a field of this name leads back to the clean original: an address, a path, a hash or an id of it."""
    words = words_of(name)
    pairs = set(pairwise(words))
    return (
        any(w in LINK_WORDS or (w.endswith(("url", "urls", "uri")) and w not in NO_LINKS) for w in words)
        or any(a in HAS_ID and b in ("id", "ids") for a, b in pairs)
        or any(w.endswith("id") and w[:-2] in HAS_ID for w in words)
        or bool(pairs & {("file", "name"), ("file", "names"), ("original", "name"), ("image", "name")})
    )


def is_place(name: str) -> bool:
    """Whether a field of this name says where a photo was taken."""
    return any(word in PLACE_WORDS or word.startswith("gps") for word in words_of(name))


def looks_like_link(text: str) -> bool:
    """Whether a text is an address, a path to a picture, a hash or an id, or holds one of these."""
    text = text.strip()
    if len(text) <= 2000 and WHOLE.fullmatch(text):
        return not HARMLESS.match(text)
    return any(not HARMLESS.match(found[0]) for found in INSIDE.finditer(text))


def without_links(text: str) -> str:
    """A longer text without the addresses and hashes in it; empty when it is one, or tells a place."""
    if len(text) <= 2000 and WHOLE.fullmatch(text.strip()):
        return ""
    left = INSIDE.sub(lambda found: found[0] if HARMLESS.match(found[0]) else "", text)
    return left if left.strip() else ""


def leads_back(path: Collection[str | None], value: Any, own: Collection[str]) -> bool:
    """Whether a value, with the names of the fields around it, leads back to the original.

    `own`: the sample's key and its members' names, which are published anyway.
    """
    if value is None or value == "" or value == b"" or isinstance(value, bool) or str(value) in own:
        return False
    if isinstance(value, str) and HARMLESS.match(value.strip()):
        return False
    names = [name for name in path if name]
    if any(is_link(name) for name in names):
        return True
    if names and names[0].lower() == "id" and len(str(value)) >= 6:
        return True
    if not isinstance(value, str):
        return False
    return looks_like_link(value)


def is_position(path: Collection[str | None], value: Any) -> bool:
    """Whether a value, with the names of the fields around it, says where a photo was taken."""
    if value is None or value in ("", b"") or isinstance(value, bool):
        return False
    return any(is_place(name) for name in path if name) or (isinstance(value, str) and tells_place(value))


def tells_place(text: str) -> bool:
    """Whether a text is a pair of degrees, or EXIF written out with a position in it."""
    pair = POSITION.fullmatch(text) and any(abs(float(number)) > 1 for number in re.findall(r"[\d.]+", text))
    return bool(pair or GPS_TEXT.search(text))


def own_names(key: str, members: Collection[str] = ()) -> frozenset[str]:
    """What a sample calls itself: its key and its members' names, with and without their folder."""
    names = {key, *members}
    return frozenset(
        names | {name.rsplit("/", 1)[-1] for name in names} | {name.removeprefix("./") for name in names}
    )
