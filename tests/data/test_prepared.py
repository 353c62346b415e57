"""What a method sees of a picture, and the key its noise is drawn from."""

import io

import numpy as np
import pytest
from PIL import Image

from protect.data.images import decode
from protect.data.photo_files import decode_still
from protect.data.prepared import Failure, Prepared, prepare
from protect.data.views import room
from protect.samples import Member, Sample
from protect.settings.publish import PublishSettings


@pytest.mark.parametrize(("mode", "kind"), [("RGB", "PNG"), ("L", "PNG"), ("I;16", "PNG"), ("RGBA", "WEBP")])
def test_a_shard_and_a_photo_folder_see_the_same(photo_bytes, mode, kind):
    data = photo_bytes(kind, mode)
    one, two = decode(data, 10**6), decode_still(io.BytesIO(data), 10**6)
    for look in (Prepared.view, Prepared.whole):
        views = [look(Prepared(None, ("a boat",), picture), 32) for picture in (one, two)]
        assert views[0].key == views[1].key and np.array_equal(views[0].pixels, views[1].pixels)


def test_a_photos_key_is_what_is_seen_and_a_samples_its_own(photo_bytes):
    picture, other = (decode(photo_bytes(seed=seed), 10**6) for seed in (0, 1))
    keys = [Prepared(None, (), file).view(size).key for file, size in ((picture, 32), (picture, 24), (other, 32))]
    assert len(set(keys)) == 3 and Prepared(None, (), picture).whole(32).key == keys[0]
    for view in (Prepared("000", (), picture).view(32), Prepared("000", (), picture).whole(32)):
        assert view.key == "000"


def test_views_and_whole_pictures_have_the_same_middle():
    picture = decode(as_png(np.random.default_rng(0).integers(0, 256, (40, 90, 3), dtype=np.uint8)), 10**6)
    prepared = Prepared("k", ("a",), picture)
    view, whole = prepared.view(32), prepared.whole(32)
    edge = (room(40, 90, 32) - 32) // 2
    assert (view.size, whole.size, view.pixels.shape) == (32, 32, (3, 32, 32))
    assert whole.pixels.shape == (3, room(40, 90, 32), room(40, 90, 32))
    middle = whole.pixels[:, edge : edge + 32, edge : edge + 32].astype(int)
    assert np.abs(middle - view.pixels).max() <= 1


@pytest.mark.parametrize(
    ("members", "reason"),
    [
        ({"txt": b"a boat"}, "no image"),
        ({"jpg": b"nonsense", "txt": b"a boat"}, "unusable image: expected a JPEG"),
        ({"json": b"{broken", "jpg": b"", "txt": b"x"}, "unreadable caption"),
    ],
)
def test_a_sample_that_cannot_be_used_says_why(members, reason):
    sample = Sample("k", tuple(Member(f"k.{name}", data) for name, data in members.items()))
    failure = prepare(sample, PublishSettings())
    assert isinstance(failure, Failure) and str(failure).startswith(reason)


def test_a_picture_without_a_caption_is_not_used(photo_bytes):
    assert prepare(Sample("k", (Member("k.jpg", photo_bytes()),)), PublishSettings()) == Failure("no caption")


def as_png(pixels):
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()
