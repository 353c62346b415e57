"""What is published does not depend on how many threads do the sums."""

import hashlib
import io

import numpy as np
import pytest
import torch
from PIL import Image
from threadpoolctl import threadpool_limits

from protect.data.prepared import Prepared, prepare
from protect.jobs.photos.key import key_protector
from protect.jobs.sample import publish_photo
from protect.publish.upsample import at_full_size
from protect.samples import Member, Sample
from protect.settings.publish import PublishSettings

SETTINGS = PublishSettings()


def sample(width: int, height: int) -> Sample:
    random = np.random.default_rng(width)
    coarse = Image.fromarray(random.integers(0, 256, (height // 8, width // 8, 3), np.uint8))
    picture = np.asarray(coarse.resize((width, height), Image.Resampling.BICUBIC)) + random.normal(
        0, 15, (height, width, 3)
    )
    file = io.BytesIO()
    Image.fromarray(np.clip(picture, 0, 255).astype(np.uint8)).save(file, "JPEG", quality=92)
    return Sample("one", (Member("one.jpg", file.getvalue()), Member("one.txt", b"a dog beside a red house")))


def published(item: Sample) -> tuple[str, float]:
    protector, prepared = key_protector(3), prepare(item, SETTINGS)
    assert isinstance(prepared, Prepared)
    [perturb] = protector.perturb([protector.look(prepared)])
    noise, words, size = perturb()
    change = at_full_size(prepared.picture.image, noise, 8, size, coarse=True)
    made = publish_photo(prepared.picture, change, 8, SETTINGS)
    return hashlib.sha256(made.data + " ".join(words).encode()).hexdigest(), made.change.ssim


@pytest.mark.parametrize("size", [(144, 144), (256, 256), (640, 480)])
def test_bytes_and_ssim_are_the_same_on_any_number_of_threads(size: tuple[int, int]) -> None:
    item, found, before = sample(*size), set(), torch.get_num_threads()
    try:
        for threads in (1, 2, 4):
            torch.set_num_threads(threads)
            with threadpool_limits(threads):
                found.add(published(item))
    finally:
        torch.set_num_threads(before)
    assert len(found) == 1
