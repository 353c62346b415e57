"""`protect photos`, `protect watch` and `protect fit` on a folder of photos, from the command line."""

import json

import pytest


@pytest.fixture
def source(tmp_path, photo_bytes):
    root = tmp_path / "in"
    root.mkdir()
    (root / "a.jpg").write_bytes(photo_bytes(seed=1))
    (root / "b.png").write_bytes(photo_bytes("PNG", seed=2))
    (root / "captions.csv").write_text("file,caption\na.jpg,a boat\nb.png,a house\n")
    return root


def test_photos_says_what_it_does_and_what_it_did(command, source, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    ran = command("photos", "in", "out", "--seed", "7", "--emit-web")
    assert ran.code == 0
    first, *lines, last = ran.out.splitlines()
    assert first == "2 photos protected, 1 file skipped, 0 failed: out"
    assert last == "never publish out/_protect/private: it undoes the protection"
    assert "post each photo with its text in out/captions.csv: the noise only works with this text" in lines
    progress = ran.err.splitlines()
    assert [line.split(": ")[:2] for line in progress] == [
        ["protected", "a.jpg"], ["protected", "b.png"], ["skipped", "captions.csv"]]  # fmt: skip
    names = (
        "a.jpg",
        "b.png",
        "captions.csv",
        "gallery.html",
        "_protect/web/tdmrep.json",
        "_protect/private/photos.jsonl",
    )
    assert all((tmp_path / "out" / name).exists() for name in names)
    assert not (tmp_path / "out/_protect/private/key").exists()
    again = command("photos", "in", "out", "--seed", "7")
    assert (again.code, again.out) == (0, ran.out)
    assert again.err.splitlines()[:2] == ["done before: a.jpg", "done before: b.png"]


def test_photos_that_fail_end_with_1_and_are_named(command, source, tmp_path):
    (source / "broken.jpg").write_bytes(b"\xff\xd8\xff")
    ran = command("photos", source, tmp_path / "out", "--quiet")
    assert ran.code == 1 and ran.err == ""
    assert "  broken.jpg: expected a whole JPEG file" in ran.out
    as_json = json.loads(command("photos", source, tmp_path / "out", "--json", "-q").out)
    assert (as_json["protected"], as_json["failed"], as_json["failures"][0]["name"]) == (2, 1, "broken.jpg")


def test_dry_run_writes_nothing(command, source, tmp_path):
    ran = command("photos", source, tmp_path / "out", "--dry-run")
    assert (
        ran.code == 0 and ran.out.startswith("2 photos in 3 files -> ") and ran.out.endswith("nothing was written\n")
    )
    assert "balanced: epsilon 8, SSIM about 0.9" in ran.out
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("photos", "in"), "Missing argument 'OUT'"),
        (("photos", "in", "in/out"), "apart from the photos"),
        (("photos", "nowhere", "out"), "expected a folder of photos"),
        (("photos", "in", "out", "--strength", "huge"), "'huge' is not one of"),
        (("photos", "in", "out", "--caption-from", "xmp,dream"), "caption_from: expected csv"),
        (("photos", "in", "out", "--quality", "101"), "quality: expected 1 to 100"),
        (("photos", "in", "out", "--seed", "-2"), "seed: expected 0 or more"),
        (("photos", "in", "out", "--protector", "nowhere"), "made by `protect fit`"),
        (("watch", "in", "in"), "apart from the photos"),
        (("watch", "in", "out", "--interval", "0"), "--interval: expected seconds above 0"),
    ],
)
def test_mistakes_end_with_2_and_one_line(command, source, tmp_path, monkeypatch, arguments, message):
    monkeypatch.chdir(tmp_path)
    ran = command(*arguments)
    assert ran.code == 2 and ran.out == "" and message in ran.err.strip().splitlines()[-1]
    assert not (tmp_path / "out").exists()


def test_watch_ends_with_a_summary(command, source, tmp_path, monkeypatch):
    looks = []

    def pause(seconds):
        looks.append(seconds)
        if len(looks) == 2:
            raise KeyboardInterrupt

    monkeypatch.setattr("protect.jobs.photos.watch.time.sleep", pause)
    ran = command("watch", source, tmp_path / "out", "--interval", "0.5")
    assert ran.code == 0 and looks == [0.5, 0.5]
    assert ran.out.startswith("2 photos protected, 1 file skipped, 0 failed") and "watching" in ran.err


def test_fit_takes_a_folder_of_photos_and_photos_its_protector(command, source, tmp_path):
    fitted = command("fit", source, "-o", tmp_path / "p", "--method", "random", "--size", "32", "-q")
    assert fitted.code == 0 and "random fitted on 2 pairs" in fitted.out
    ran = command("photos", source, tmp_path / "out", "--protector", tmp_path / "p", "-q")
    assert ran.code == 0 and ran.out.startswith("2 photos protected")
