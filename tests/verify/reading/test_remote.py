"""Published files in object storage are read as those on a disk are."""

import fsspec
import pytest

from protect.data.storage import place
from protect.verify.checks.leakage import leaks
from protect.verify.reading.matched_sample import sample
from protect.verify.reading.scrape import scrape, source_hashes


@pytest.fixture
def both(tmp_path, clean):
    """A set of shards on the disk and in memory://, as texts."""
    folder = clean(tmp_path / "in", 3, 2, parquet=True)
    fsspec.filesystem("memory").store.clear()
    for path in folder.iterdir():
        (place("memory://set") / path.name).write_bytes(path.read_bytes())
    return str(folder), "memory://set"


def test_a_remote_set_is_scraped_like_a_local_one(both):
    here, there = both
    assert list(scrape([there])) == list(scrape([here])) and len(list(scrape([there]))) == 5
    assert source_hashes(there) == source_hashes(here)


def test_a_remote_set_is_sampled_and_looked_through_for_leaks(both):
    here, there = both
    local, remote = sample(here, here, 4), sample(here, there, 4)
    assert remote.published == local.published and len(remote.files) == len(local.files)
    assert leaks(remote, changed=True) == leaks(local, changed=True) != []
