"""`protect check` on made-up platforms: noise, words, opt-out and verdict, with and without original and key."""

import io
import json
import math
import shutil

import pytest
from PIL import Image

from protect.data.photo_files import read_still
from protect.jobs.check.folder import Unread, check_all
from protect.jobs.check.measured import measured_rows, outlook
from protect.jobs.check.own import FROM_KEY, FROM_METHOD, ORIGINAL, Run
from protect.jobs.check.pair import check_pair
from protect.jobs.check.report import lines, to_json
from protect.jobs.photos.records import read_records


def sent(mine, path, kind="JPEG", size=None, box=None, **options):
    """What a platform makes of a photo: cropped, resized, written anew without metadata."""
    image = Image.open(mine).convert("RGB")
    image = image.crop(box) if box else image
    (image.resize(size, Image.Resampling.LANCZOS) if size else image).save(path, kind, **options)
    return path


def one(mine, downloaded, **known):
    return check_pair(mine, downloaded, Run.of(mine), **known)


def test_the_file_itself_has_everything(protected):
    mine = protected / "coffee.jpg"
    check = one(mine, mine)
    assert check.same and math.isclose(check.area, 1) and math.isclose(check.scale, 1)
    assert check.noise.left == pytest.approx(1, abs=0.01) and check.noise_by == FROM_KEY
    assert check.words.share == 1 and len(check.words.planted) >= 4
    assert check.marks.opt_out_before and check.marks.opt_out and check.marks.marked
    [found] = check.outlooks
    assert "as published" in found.rows


@pytest.mark.parametrize(
    "form",
    [
        {"kind": "JPEG", "quality": 75},
        {"kind": "WEBP", "quality": 70},
        {"kind": "AVIF", "quality": 80},
        {"kind": "JPEG", "quality": 85, "box": (70, 0, 337, 267), "size": (224, 224)},
    ],
)
def test_original_and_key_agree(protected, source, tmp_path, form):
    mine, there = protected / "coffee.jpg", sent(protected / "coffee.jpg", tmp_path / "x", **form)
    by_original, by_key = one(mine, there, original=source / "coffee.jpg"), one(mine, there)
    assert (by_original.noise_by, by_key.noise_by) == (ORIGINAL, FROM_KEY)
    assert by_original.noise.left > 0.5
    assert by_key.noise.left == pytest.approx(by_original.noise.left, abs=0.15)


def test_a_thumbnail_has_next_to_nothing(protected, source, tmp_path):
    there = sent(protected / "coffee.jpg", tmp_path / "x.jpg", size=(120, 80))
    for original in (None, source / "coffee.jpg"):
        assert one(protected / "coffee.jpg", there, original=original).noise.left < 0.15


def test_a_clean_copy_has_no_noise(protected, source):
    check = one(protected / "coffee.jpg", source / "coffee.jpg", original=source / "coffee.jpg")
    assert check.same and check.noise.left == pytest.approx(0, abs=0.01)


def test_without_run_and_key_the_default_method_says_where_noise_is(protected, tmp_path):
    mine = shutil.copy(protected / "coffee.jpg", tmp_path / "coffee.jpg")
    there = sent(mine, tmp_path / "x.jpg", size=(300, 200))
    check = check_pair(mine, there, Run.of(mine))
    known = one(protected / "coffee.jpg", there)
    assert check.noise_by == FROM_METHOD
    assert check.noise.left == pytest.approx(known.noise.left, abs=0.1)


def test_words_are_compared_with_the_text_beside_the_photo(protected, tmp_path):
    mine, there = protected / "coffee.jpg", sent(protected / "coffee.jpg", tmp_path / "x.jpg")
    posted = read_records(protected)["coffee.jpg"].caption
    assert one(mine, there).words.left is None and len(one(mine, there).outlooks) == 2
    assert one(mine, there, caption=posted.upper()).words.share == 1
    first, *others = posted.split()
    check = one(mine, there, caption=" ".join(others))
    assert check.words.left == check.words.planted[1:] and check.words.planted[0] == first.casefold()
    assert f"missing: {first.casefold()}" in "\n".join(lines(check))
    stripped = one(mine, there, caption="a cup of coffee")
    assert stripped.words.left == () and "words removed" in stripped.outlooks[0].rows
    (tmp_path / "x.txt").write_text(posted)
    assert one(mine, there).words.share == 1


def test_a_wrong_pair_is_told_and_measured_no_further(protected, tmp_path):
    check = one(protected / "coffee.jpg", sent(protected / "rocket.jpg", tmp_path / "x.jpg"))
    assert not check.same and check.noise is None
    assert "not the same picture" in next(lines(check))


def test_opt_out_and_mark_are_looked_for_in_the_file(protected, source, tmp_path):
    mine = protected / "coffee.jpg"
    text = "\n".join(lines(one(mine, sent(mine, tmp_path / "x.jpg"))))
    assert "opt-out: removed from the file" in text
    assert "opt-out: kept" in "\n".join(lines(one(mine, mine)))
    assert "has no mark of `protect photos`" in "\n".join(lines(one(source / "coffee.jpg", mine)))
    assert read_still(mine, 10**6).metadata.opted_out


def test_folders_are_matched_by_content(protected, source, tmp_path):
    there = tmp_path / "there"
    there.mkdir()
    sent(protected / "coffee.jpg", there / "chelsea.jpg", quality=70)  # a name says nothing
    sent(protected / "chelsea.jpg", there / "1.webp", "WEBP", box=(60, 0, 326, 266), size=(240, 240))
    buffer = io.BytesIO()
    Image.effect_noise((300, 200), 90).convert("RGB").save(buffer, "PNG")
    (there / "2.png").write_bytes(buffer.getvalue())
    (there / "3.jpg").write_bytes(b"\xff\xd8\xff")
    checks = {}
    for check in check_all(protected, there):
        checks[str(check.path if isinstance(check, Unread) else check.downloaded).rpartition("/")[2]] = check
    assert checks["chelsea.jpg"].same and checks["chelsea.jpg"].mine.endswith("coffee.jpg")
    assert checks["1.webp"].same and checks["1.webp"].mine.endswith("chelsea.jpg")
    assert not checks["2.png"].same
    assert isinstance(checks["3.jpg"], Unread) and "JPEG" in checks["3.jpg"].reason
    assert len(to_json(list(checks.values()))["checks"]) == 3


def test_a_folder_without_photos_is_refused(protected, tmp_path):
    with pytest.raises(ValueError, match="expected protected photos, found none"):
        list(check_all(tmp_path, protected))


def test_a_place_that_is_not_there_is_refused(command, protected):
    ran = command("check", protected, protected / "nothing.jpg")
    assert ran.code == 2 and "found nothing; check the name" in ran.err


def test_a_verdict_is_that_of_the_nearest_rows():
    rows = {row.name: row for row in measured_rows()}
    assert outlook(rows["words removed"].noise, 0.0).retained == rows["words removed"].retained
    between = outlook(0.8, 0.0)
    assert set(between.rows) == {"words removed", "whiten-and-deduplicate"}
    assert between.retained == (rows["words removed"].retained[0], rows["whiten-and-deduplicate"].retained[1])
    assert outlook(0.0, 1.0).rows == ("words alone, no noise",)
    assert outlook(1.0, 0.6).rows == ("half-words",)


def test_the_command_says_it_in_lines_and_as_json(command, protected, tmp_path):
    there = sent(protected / "coffee.jpg", tmp_path / "x.jpg", quality=75)
    ran = command("check", protected / "coffee.jpg", there)
    assert ran.code == 0 and "noise left at training size" in ran.out and "verdict: with its words" in ran.out
    found = json.loads(command("check", protected, there, "--caption", "nothing", "--json").out)
    assert found["checks"][0]["same"] and found["checks"][0]["words"]["left"] == []
    wrong = command("check", protected / "rocket.jpg", there)
    assert wrong.code == 1 and "not the same picture" in wrong.out
