"""Three photos that `protect photos` has protected, once for all tests."""

import shutil
from pathlib import Path

import pytest

from protect.jobs.photos.job import make_job
from protect.jobs.photos.run import protect_photos
from protect.settings.publish import PhotoSettings

SAMPLES = Path(__file__).parents[3] / "samples/photos"
NAMES = ("chelsea.jpg", "coffee.jpg", "rocket.jpg")
KEY = 7


@pytest.fixture(scope="session")
def source(tmp_path_factory):
    folder = tmp_path_factory.mktemp("check") / "in"
    folder.mkdir()
    for name in NAMES:
        shutil.copy(SAMPLES / name, folder / name)
    (folder / "captions.csv").write_text("file,caption\nchelsea.jpg,a cat\ncoffee.jpg,a cup of coffee\n")
    return folder


@pytest.fixture(scope="session")
def protected(source):
    """The OUT of a run with a key of its own."""
    out = source.parent / "out"
    protect_photos(make_job(source, out, PhotoSettings()), lambda record, fresh: None, 1)
    return out
