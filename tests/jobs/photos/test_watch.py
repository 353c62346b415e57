"""Watching a folder: a file is taken when it has stopped growing, once, until Ctrl-C."""

from protect.jobs.photos.job import make_job
from protect.jobs.photos.records import read_records
from protect.jobs.photos.watch import watch
from protect.settings.publish import PhotoSettings


def watched(root, out, *steps):
    """Runs each step between two looks, then stops; returns the names protected after each look, and the records."""
    looks, todo = [[]], list(steps)

    def pause(seconds):
        assert seconds == 2.0
        if not todo:
            raise KeyboardInterrupt
        looks.append([])
        todo.pop(0)()

    records = watch(
        make_job(root, out, PhotoSettings(seed=7)),
        lambda record, fresh: looks[-1].append((record.name, record.status)) if fresh else None,
        pause=pause,
    )
    return looks, records


def test_files_are_taken_once_they_rest(tmp_path, photo_bytes):
    root, out, data = tmp_path / "in", tmp_path / "out", photo_bytes()
    root.mkdir()
    (root / "a.jpg").write_bytes(data)

    def grow():
        (root / "b.jpg").write_bytes(data[:300])

    def whole():
        (root / "b.jpg").write_bytes(data)

    def nothing():
        pass

    looks, records = watched(root, out, grow, whole, nothing, nothing)
    assert looks == [[], [("a.jpg", "protected")], [], [("b.jpg", "protected")], []]
    assert set(records) == set(read_records(out)) == {"a.jpg", "b.jpg"}
    assert (out / "captions.csv").read_text().count(".jpg") == 2


def test_a_changed_photo_and_a_new_text_are_done_again_a_gone_one_is_let_be(tmp_path, photo_bytes):
    root, out = tmp_path / "in", tmp_path / "out"
    root.mkdir()
    (root / "a.jpg").write_bytes(photo_bytes())

    def nothing():
        pass

    def new_text():
        (root / "a.txt").write_text("a boat")

    def gone():
        (root / "a.jpg").unlink()

    looks, records = watched(root, out, nothing, new_text, nothing, gone, nothing)
    assert looks[1] == [("a.jpg", "protected")] and ("a.jpg", "protected") in looks[3] and looks[4] == []
    assert records["a.jpg"].caption.endswith("a boat") and (out / "a.jpg").exists()


def test_it_goes_on_where_a_run_ended(tmp_path, photo_bytes):
    root, out = tmp_path / "in", tmp_path / "out"
    root.mkdir()
    (root / "a.jpg").write_bytes(photo_bytes())
    watched(root, out, lambda: None)
    looks, records = watched(root, out, lambda: None, lambda: None)
    assert looks == [[], [], []] and records["a.jpg"].status == "protected"
