"""What a row does to clean files (its matched control) leaves them learnable: else a low share would mean nothing."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image

from protect.settings.verify import VerifySettings
from protect.verify.attackers.train import train
from protect.verify.countermeasures import COUNTERMEASURES
from protect.verify.reading.pairs import JudgedPairs, Pairs, centre

COUNT = 24
SIZES = {"half-resolution": 32, "double-resolution": 64}  # half of 64, twice 32
SETTINGS = VerifySettings(epochs=20, batch=8, size=32, learning_rate=2e-3, augment="none", device="cpu")
CAPTIONS = tuple((f"{i} of these {word}",) for i, word in enumerate("abcdefghijklmnopqrstuvwx"))


def clean():
    """Random coarse scenes, each with a caption of its own words."""
    random = np.random.default_rng(0)
    scenes = [np.kron(random.integers(0, 256, (4, 4, 3)), np.ones((16, 16, 1))) for _ in range(COUNT)]
    return Pairs(tuple(map(str, range(COUNT))), [scene.astype(np.uint8) for scene in scenes], CAPTIONS)


@pytest.mark.parametrize("name", ["oproj", "eda", "half-resolution", "double-resolution", "large-batch-512"])
def test_clean_files_stay_learnable(name):
    row = COUNTERMEASURES[name]
    regime = replace(row.regime, batch=12) if row.regime.batch else row.regime  # all pairs are fewer than 512
    size, pairs = SIZES.get(name, 32), row.pairs(clean()) if row.pairs else clean()
    squares = [np.asarray(centre(Image.fromarray(picture), size)) for picture in clean().pictures]
    test = JudgedPairs(pairs.keys, torch.from_numpy(np.stack(squares)).permute(0, 3, 1, 2), CAPTIONS)
    results = list(train(pairs, test, "tiny-resnet", regime.applied(SETTINGS, size), 0, None, regime.defence))
    assert results[-1].loss < 0.6 * results[1].loss
    percentiles = [result.metrics["text_retrieval_mean_percentile_rank"] for result in (results[0], results[-1])]
    assert percentiles[1] > 0.8 > percentiles[0] + 0.15
