"""What tests of whole runs on shards share: clean shards, and a protector that is fitted on them."""

import pytest
from small_run import PUBLISH, RECIPE

from protect.jobs.fit import fit_on_shards
from protect.jobs.plan import make_plan


@pytest.fixture(scope="module")
def source(tmp_path_factory, clean):
    return clean(tmp_path_factory.mktemp("clean") / "in", 3, 2, 2, parquet=True)


@pytest.fixture(scope="module")
def protector(source):
    return fit_on_shards(list(make_plan([str(source)], source.parent / "none", PUBLISH).shards), RECIPE, PUBLISH, str)
