"""What cameras, phones and programs write by themselves where a caption belongs.

Only a whole text counts, and a code of a phone only as the phone spells it: *Norway* and *Coffee* are captions, `nor`
and `cof` are none. Sources: what the photo managers PhotoPrism (list of unwanted descriptions, with its pull request
5078) and iNaturalist (list of branded descriptions) leave out, and the names that programs put into files.
"""

import re

CODES = frozenset((  # of Huawei and Honor phones, spelt exactly so
    "rhdr", "hdrpl", "oznorWO", "oznor", "frontbhdp", "fbt", "rbt", "ptr", "fbthdr", "btr", "mon", "nor", "dav",
    "mde", "mde_soft", "edf", "btfmdn", "btf", "btfhdr", "frem", "rpt", "burst", "sdr_HDRB", "cof", "qrf",
    "fshbty", "_cuva", "smart", "hdr", "bsh",
))  # fmt: skip
CODED = re.compile(  # the same with the mode the camera was in, as oznor_vivid, cof_soft_HDRB, hdrplWO
    r"(rhdr|hdrpl|oznor|frontbhdp|fbt|rbt|ptr|btr|mon|nor|dav|mde|edf|btf|rpt|cof|qrf|sdr|vhdr|fhdr)"
    r"((_(vivid|soft|smooth|bright|HDRB|WO|cuva))|hdr|mdn|WO|HDRB)+"
)
TEXTS = frozenset((  # in any case
    "olympus digital camera", "minolta digital camera", "konica minolta digital camera",
    "kodak digital still camera", "samsung", "samsung digital camera", "samsung camera pictures", "sony dsc",
    "digital camera", "medion digital camera", "moultrie digital game camera", "casio computer co.,ltd",
    "casio computer co.,ltd.", "hellomoto", "dvc 10.1 hdmi", "scanner", "exif_jpeg_picture", "exif jpeg",
    "exif jpeg t422", "charset=ascii", "charset=unicode", "binary comment", "x-default", "default",
    "my beautiful picture", "screenshot", "untitled", "applemark", "created by imlib", "iclarified",
    "acd systems digital imaging", "handmade software, inc. image alchemy",
))  # fmt: skip
PATTERNS = re.compile(
    r"[\d\s!-/:-@\[-`{-~–—]*"  # a number, a date, signs
    r"|dcim\\\S*|[a-z]:\\\S*"  # a drone's or a scanner's own path
    r"|<(digimax|kenox) [\w /,#-]+>"
    r"|(dsc[fn]?|img|hpim|pict|mvi|pxl|gopr|dji|sam)[_-]?\d{3,}[\w-]*(\.jpe?g)?"  # the file's own name
    r"|(created|file written) (with|by) (the )?(gimp|adobe photoshop|paint\.net|imagemagick|windows photo editor)"
    r"(®|\s(®|elements|lightroom|cs\d?|cc|on a mac|[\d.]+))*"
    r"|creator: gd-jpeg v[\d.]+.*|lavc[\d.]+|lead technologies,? inc\.? v[\d.]+|intel\(r\) jpeg library, version.*"
    r"|(optimized|compressed) (by|with) (jpegmini|jpeg-recompress)( [\d.]+)*( \w+)?"
    r"|processed by ebay with imagemagick.*|processed with vsco( with \w+ preset)?",
    re.IGNORECASE | re.DOTALL,
)


def is_no_caption(text: str) -> bool:
    """Whether a text, its spaces evened out, is one that nobody typed."""
    return (
        text in CODES
        or text.lower() in TEXTS
        or CODED.fullmatch(text) is not None
        or PATTERNS.fullmatch(text) is not None
    )
