import io

import numpy as np
import pytest
from PIL import Image

from protect.data.images import decode
from protect.data.same_picture import same_pictures
from protect.samples import Member, Sample

MOST = 10**6


def scene(seed):
    rough = np.random.default_rng(seed).integers(30, 226, (6, 8, 3), dtype=np.uint8)
    return Image.fromarray(rough).resize((160, 120), Image.Resampling.BICUBIC)


def saved(image, kind="PNG", **options):
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def found(*members):
    main = saved(scene(1), "JPEG", quality=92)
    sample = Sample("a", (Member("a.jpg", main), *members, Member("a.txt", b"a dog")))
    return [member.name for member, _ in same_pictures(sample, decode(main, MOST), MOST)]


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("a.png", saved(scene(1))),
        ("a.thumb.jpg", saved(scene(1).resize((40, 30)), "JPEG", quality=60)),
        ("a.webp", saved(scene(1).resize((320, 240)), "WEBP", quality=80)),
        ("a.gray.png", saved(scene(1).convert("L"))),
        ("a.small", saved(scene(1).resize((41, 30)), "JPEG")),
    ],
)
def test_copies_of_any_size_and_format(name, data):
    assert found(Member(name, data)) == [name]


@pytest.mark.parametrize(
    "data",
    [
        saved(scene(2)),
        saved(scene(1).crop((0, 0, 80, 120))),
        saved(scene(1).transpose(Image.Transpose.FLIP_LEFT_RIGHT)),
        saved(scene(1).resize((100, 100))),
        saved(scene(1), "GIF"),
        saved(scene(1))[:-40],
        b"\x93NUMPY",
    ],
)
def test_other_pictures_and_what_cannot_be_written_again(data):
    assert found(Member("a.x", data)) == []
