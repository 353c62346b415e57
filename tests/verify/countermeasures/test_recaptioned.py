"""Other captions for the same keys take the place of the published ones."""

import numpy as np
import pytest

from protect.verify.countermeasures import COUNTERMEASURES
from protect.verify.reading.pairs import Pairs

ROW = COUNTERMEASURES["recaptioned"]
PAIRS = Pairs(("a", "b", "c"), [np.full((4, 4, 3), i, np.uint8) for i in range(3)], (("zebra one",),) * 3)


def test_captions_are_replaced_by_key_and_pairs_without_one_dropped(make_shard, tmp_path):
    shard = make_shard(
        tmp_path / "0.tar", {"c": {"txt": "third\nalso third"}, "a": {"txt": "first"}, "z": {"txt": "no"}}
    )
    row = ROW.from_setting(str(shard))
    after = row.pairs(PAIRS)
    assert after.keys == ("a", "c") and after.captions == (("first",), ("third", "also third"))
    assert [int(picture[0, 0, 0]) for picture in after.pictures] == [0, 2] and row.setting is None


def test_a_source_without_captions_is_refused(make_shard, tmp_path):
    shard = make_shard(tmp_path / "0.tar", {"a": {"jpg": b"x"}})
    with pytest.raises(ValueError, match="expected captions for the keys of the published pairs, found none"):
        ROW.from_setting(str(shard))
