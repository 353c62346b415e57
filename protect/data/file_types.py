"""What a file is, by its first bytes; its name only says what it was meant to be."""

HEAD = 64  # bytes that tell

PICTURES = ("JPEG", "PNG", "TIFF", "WEBP", "AVIF", "HEIF")
NAMES = {  # extensions
    "picture": "jpg jpeg jpe jfif png tif tiff webp avif heic heif hif gif bmp jp2 jxl psd apng",
    "raw": "3fr arw cr2 cr3 crw dcr dng erf fff iiq kdc mef mos mrw nef nrw orf pef raf raw rw2 rwl sr2 srf srw x3f",
    "movie": "mov mp4 m4v avi 3gp 3g2 mkv webm mpg mpeg mts m2ts wmv insv lrv",
}
PICTURE_NAMES, RAW_NAMES, MOVIE_NAMES = (frozenset(f".{name}" for name in NAMES[k].split()) for k in NAMES)
SIDECAR_NAMES = frozenset({".txt", ".caption", ".text", ".json", ".xmp"})
HEIF_BRANDS = frozenset({b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1"})

REFUSED = {
    "GIF": "GIF holds too few colours for the noise, and may move: save a still as PNG",
    "RAW": "RAW: export it as JPEG or TIFF, and protect that",
    "MOVIE": "a movie: it is not protected, do not publish it",
    "BMP": "BMP: save it as PNG",
    "JXL": "JPEG XL cannot be read: save it as JPEG",
    "JP2": "JPEG 2000 cannot be kept: save it as JPEG",
    "PSD": "Photoshop document: export it as JPEG or TIFF, and protect that",
}


def kind_of(head: bytes) -> str:
    """PICTURES, a key of REFUSED, or "" for anything else, by the first HEAD bytes of a file."""
    for magic, kind in (
        (b"\xff\xd8\xff", "JPEG"),
        (b"\x89PNG\r\n\x1a\n", "PNG"),
        (b"GIF8", "GIF"),
        (b"8BPS", "PSD"),
        (b"\xff\x0a", "JXL"),
        (b"\0\0\0\x0cJXL ", "JXL"),
        (b"\0\0\0\x0cjP  ", "JP2"),
        (b"FUJIFILMCCD-RAW", "RAW"),
        (b"II*\0\x10\0\0\0CR", "RAW"),
        (b"IIRO", "RAW"),
        (b"IIRS", "RAW"),
        (b"IIU\0", "RAW"),
    ):
        if head.startswith(magic):
            return kind
    if head[:4] in (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"):
        return "TIFF"
    if head[:2] == b"BM" and head[6:10] == bytes(4):
        return "BMP"
    if head[:4] == b"RIFF":
        return {b"WEBP": "WEBP", b"AVI ": "MOVIE"}.get(head[8:12], "")
    return _boxed(head) if head[4:8] == b"ftyp" else ""


def _boxed(head: bytes) -> str:
    """A file of ISO boxes: a picture or a movie, by its brands."""
    length = max(16, min(int.from_bytes(head[:4], "big"), HEAD))
    brands = {head[8:12], *(head[at : at + 4] for at in range(16, length - 3, 4))}
    if head[8:12] == b"crx ":
        return "RAW"
    if brands & {b"avif", b"avis"}:
        return "AVIF"
    return "HEIF" if head[8:12] in HEIF_BRANDS or b"heic" in brands else "MOVIE"
