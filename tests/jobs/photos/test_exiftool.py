"""What exiftool says of written files: they are as sound as the originals, and what is kept is all there."""

import json
import shutil
import subprocess

import pytest

from protect.jobs.photos.job import make_job
from protect.jobs.photos.run import protect_photos
from protect.settings.publish import PhotoSettings

pytestmark = pytest.mark.skipif(shutil.which("exiftool") is None, reason="exiftool is not installed")

WHO = "\u00a9 Jos\u00e9 \u00d1u\u00f1ez, \u6444\u5f71"
TAGS = {  # written by exiftool into each original, and read again from what is published
    "EXIF:Artist": WHO, "EXIF:Copyright": WHO, "EXIF:LensModel": f"Zoom {WHO}", "EXIF:ExposureCompensation": "-0.67",
    "EXIF:BrightnessValue": "-1.5", "EXIF:FNumber": "2.8", "EXIF:ISO": "400", "EXIF:XResolution": "300",
    "EXIF:YResolution": "300", "EXIF:DateTimeOriginal": "2020:01:02 03:04:05", "EXIF:OffsetTimeOriginal": "-05:00",
    "EXIF:ColorSpace#": "65535", "InteropIFD:InteropIndex": "R03", "EXIF:Rating": "4",
    "XMP:Rating": "4", "XMP:Creator": WHO, "XMP:Rights": WHO,
}  # fmt: skip
CLEAN = {"EXIF:ImageDescription": "a clean caption of a heron", "XMP:Description": "a clean caption of a heron"}
OTHER = {"EXIF:GPSLatitude": "52.5", "EXIF:GPSLatitudeRef": "N", "EXIF:SerialNumber": "12345", "XMP:Subject": "heron"}


def exiftool(*arguments):
    done = subprocess.run(["exiftool", *map(str, arguments)], capture_output=True, text=True, check=False)
    return done.stdout


def complaints(path):
    return sorted(exiftool("-validate", "-warning", "-error", "-a", "-s", "-s", "-s", path).splitlines()[1:])


@pytest.mark.parametrize("ending", ["jpg", "tif", "png", "webp"])
def test_what_is_written_is_as_sound_as_the_original_and_keeps_what_it_should(tmp_path, photo_bytes, ending):
    root, out = tmp_path / "in", tmp_path / "out"
    root.mkdir()
    path = root / f"a.{ending}"
    path.write_bytes(photo_bytes({"jpg": "JPEG", "tif": "TIFF"}.get(ending, ending.upper())))
    tags = TAGS | CLEAN | OTHER
    exiftool("-q", "-m", "-overwrite_original", *(f"-{tag}={value}" for tag, value in tags.items()), path)
    records = protect_photos(make_job(root, out, PhotoSettings(seed=7)))
    assert records[path.name].caption.endswith(" a clean caption of a heron")
    names = [f"-{tag.rstrip('#')}" for tag in (*TAGS, *CLEAN)]
    before, after = (json.loads(exiftool("-j", "-n", *names, folder / path.name))[0] for folder in (root, out))
    assert after.pop("ImageDescription", None) == after.pop("Description") == records[path.name].caption
    for read in (before, after):
        for name in ("SourceFile", "ImageDescription", "Description"):
            read.pop(name, None)
    assert after == before and len(before) >= 12
    assert not exiftool("-GPS:all", "-SerialNumber", "-Subject", out / path.name).strip()
    assert set(complaints(out / path.name)) <= set(complaints(path))


def test_every_by_line_of_iptc_is_read_again(tmp_path, photo_bytes):
    root, out = tmp_path / "in", tmp_path / "out"
    root.mkdir()
    (root / "a.jpg").write_bytes(photo_bytes())
    lines = ["-IPTC:By-line=Ann", "-IPTC:By-line=Bob", "-IPTC:CopyrightNotice=\u00a9 Ann", "-IPTC:Credit=An agency"]
    exiftool("-q", "-overwrite_original", "-codedcharacterset=utf8", *lines, root / "a.jpg")
    protect_photos(make_job(root, out, PhotoSettings(seed=7)))
    found = json.loads(exiftool("-j", "-IPTC:all", out / "a.jpg"))[0]
    assert found["By-line"] == ["Ann", "Bob"]
    assert (found["CopyrightNotice"], found["Credit"]) == ("\u00a9 Ann", "An agency")
    assert complaints(root / "a.jpg") == complaints(out / "a.jpg")
