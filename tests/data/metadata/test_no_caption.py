"""What cameras write where a caption belongs, and captions that look like it."""

import pytest

from protect.data.metadata.no_caption import is_no_caption


@pytest.mark.parametrize(
    "text",
    ["OLYMPUS DIGITAL CAMERA", "Olympus Digital Camera", "SONY DSC", "SAMSUNG CAMERA PICTURES",
     "My beautiful picture", "Exif_JPEG_PICTURE",
     r"DCIM\100MEDIA\DJI_0001.JPG", "Screenshot", "<Digimax i5, Samsung #1>",
     "hdr", "hdrpl", "_cuva", "oznor", "oznorWO", "oznor_vivid", "cof", "cof_soft", "sdr_HDRB", "nor", "dav", "mde",
     "Created with GIMP", "Created with The GIMP", "CREATOR: gd-jpeg v1.0 (using IJG JPEG v62), quality = 90",
     "File written by Adobe Photoshop\u00ae 4.0", "LEAD Technologies Inc. V1.01", "Lavc58.54.100",
     "IMG_0001", "DSC01234.JPG", "2023", "2024-05-01", "12:30", "...", ""],
)  # fmt: skip
def test_nobody_typed_this(text):
    assert is_no_caption(text)


@pytest.mark.parametrize(
    "text",
    ["Coffee", "coffee", "Norway", "norway", "Nor", "David", "david", "Davos", "Norbert", "Nordkapp", "Northbeach",
     "Coffeehouse", "Cofre", "Editing", "Mondays", "Monday", "Ptarmigan", "Burst of light", "Hdr of the bay",
     "Sony Center and a camera crane in Berlin", "Samsung phone next to a camera", "A digital camera", "Kodak moment",
     "Created with love by Anna", "created by hand", "Created with GIMP by Anna in Rome", "Lead singer",
     "Default judgement", "The default", "Screenshot of the new page", "IMG 5 is the best", "Sam 2023", "2 cats",
     "\u5496\u5561", "\U0001f98a", "caf\u00e9", "Default settings"],
)  # fmt: skip
def test_somebody_typed_this(text):
    assert not is_no_caption(text)
