"""XMP packets: captions and rights read out of any, and a new one written that holds nothing else."""

import re
from collections.abc import Iterable, Mapping
from xml.etree.ElementTree import Element, ParseError
from xml.sax.saxutils import escape

from defusedxml import DefusedXmlException
from defusedxml.ElementTree import fromstring

MARK = "urn:protect-pairs:xmp:1.0/"  # the namespace by which the tool knows its own files
PROHIBITED = "http://ns.useplus.org/ldf/vocab/DMI-PROHIBITED-AIMLTRAINING"
RDF = "http://www.w3.org/1999/02/22-rdf-syntax-ns#"
LANGUAGE = "{http://www.w3.org/XML/1998/namespace}lang"
SPACES = {
    "dc": "http://purl.org/dc/elements/1.1/",
    "photoshop": "http://ns.adobe.com/photoshop/1.0/",
    "Iptc4xmpCore": "http://iptc.org/std/Iptc4xmpCore/1.0/xmlns/",
    "xmpRights": "http://ns.adobe.com/xap/1.0/rights/",
    "tiff": "http://ns.adobe.com/tiff/1.0/",
    "exif": "http://ns.adobe.com/exif/1.0/",
    "xmp": "http://ns.adobe.com/xap/1.0/",
    "lr": "http://ns.adobe.com/lightroom/1.0/",
    "digiKam": "http://www.digikam.org/ns/1.0/",
    "plus": "http://ns.useplus.org/ldf/xmp/1.0/",
    "protect": MARK,
}
TEXT, LANGUAGES, LIST = "text", "Alt", "Seq"
CAPTIONS = {  # in the order in which they count
    "dc:description": LANGUAGES,
    "Iptc4xmpCore:ExtDescrAccessibility": LANGUAGES,
    "Iptc4xmpCore:AltTextAccessibility": LANGUAGES,
    "photoshop:Headline": TEXT,
    "dc:title": LANGUAGES,
    "tiff:ImageDescription": LANGUAGES,
    "exif:UserComment": LANGUAGES,
}
KEPT = {  # rights and ratings, which go into every new packet
    "dc:creator": LIST,
    "dc:rights": LANGUAGES,
    "photoshop:AuthorsPosition": TEXT,
    "photoshop:Credit": TEXT,
    "photoshop:Source": TEXT,
    "photoshop:DateCreated": TEXT,
    "xmpRights:Marked": TEXT,
    "xmpRights:UsageTerms": LANGUAGES,
    "xmpRights:WebStatement": TEXT,
    "xmp:Rating": TEXT,
    "xmp:Label": TEXT,
}
PLACE = dict.fromkeys(  # kept where the user wants it
    ("exif:GPSLatitude", "exif:GPSLongitude", "exif:GPSAltitude", "exif:GPSAltitudeRef", "exif:GPSVersionID"), TEXT
)
KEYWORDS = ("dc:subject", "lr:hierarchicalSubject", "digiKam:TagsList")  # read to say that they are left out
FORMS = CAPTIONS | KEPT | PLACE
NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def read_xmp(packet: bytes) -> dict[str, tuple[str, ...]]:
    """The fields named above by name, `dc:description` and the like; damage reads as nothing.

    Of a text in several languages the default one comes first.
    """
    try:
        root = fromstring(_utf8(packet), forbid_dtd=True)
    except (ParseError, DefusedXmlException, ValueError, LookupError):
        return {}
    names = (*FORMS, *KEYWORDS)
    known = {f"{{{SPACES[name.partition(':')[0]]}}}{name.partition(':')[2]}": name for name in names}
    properties: dict[str, tuple[str, ...]] = {}
    for about in root.iter(f"{{{RDF}}}Description"):
        for tag, value in about.attrib.items():
            if tag in known and value.strip():
                properties.setdefault(known[tag], (value,))
        for element in about:
            values = _values(element)
            if element.tag in known and values:
                properties.setdefault(known[str(element.tag)], values)
    return properties


def _utf8(packet: bytes) -> bytes:
    """The packet without what may stand around its XML, in UTF-8: one in UTF-16 has a zero in each pair of bytes."""
    if packet[:2] in (b"\xff\xfe", b"\xfe\xff"):
        packet = packet.decode("utf-16", errors="replace").encode()
    elif packet[:2] in (b"<\0", b"\0<"):
        packet = packet.decode("utf-16-le" if packet[1] == 0 else "utf-16-be", errors="replace").encode()
    return packet.strip(b"\0 \r\n\t\xef\xbb\xbf")


def _values(element: Element) -> tuple[str, ...]:
    items = list(element.iter(f"{{{RDF}}}li")) or [element]
    items.sort(key=lambda item: item.get(LANGUAGE) != "x-default")
    return tuple(text for item in items if (text := "".join(item.itertext()).strip()))


def is_marked(packet: bytes) -> bool:
    """Whether this tool wrote the file the packet stands in."""
    return MARK.encode() in packet


def is_opted_out(packet: bytes) -> bool:
    """Whether the packet says by PLUS DataMining that the file must not be used for training."""
    return PROHIBITED.encode() in _utf8(packet)


def write_xmp(captions: Iterable[str], caption: str, kept: Mapping[str, tuple[str, ...]], opt_out: bool) -> bytes:
    """A packet with `caption` in the fields `captions`, other fields as given, the mark, the opt-out if wanted."""
    properties = [_property(name, CAPTIONS[name], (caption,)) for name in captions]
    others = {name: values for name, values in kept.items() if name in FORMS and name not in CAPTIONS}
    properties += [_property(name, FORMS[name], values) for name, values in others.items()]
    if opt_out:
        properties.append(_property("plus:DataMining", TEXT, (PROHIBITED,)))
    properties.append(_property("protect:Protected", TEXT, ("True",)))
    spaces = "".join(
        f' xmlns:{name}="{space}"' for name, space in SPACES.items() if f"<{name}:" in "".join(properties)
    )
    lines = (
        '<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>',
        f'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="{RDF}"><rdf:Description rdf:about=""{spaces}>',
        *properties,
        "</rdf:Description></rdf:RDF></x:xmpmeta>",
        '<?xpacket end="r"?>',
    )
    return "\n".join(lines).encode()


def _property(name: str, form: str, values: tuple[str, ...]) -> str:
    texts = [escape(NOT_XML.sub("", value)) for value in values]
    if form == TEXT:
        return f"<{name}>{texts[0]}</{name}>"
    if form == LANGUAGES:
        return f'<{name}><rdf:Alt><rdf:li xml:lang="x-default">{texts[0]}</rdf:li></rdf:Alt></{name}>'
    return f"<{name}><rdf:Seq>{''.join(f'<rdf:li>{text}</rdf:li>' for text in texts)}</rdf:Seq></{name}>"
