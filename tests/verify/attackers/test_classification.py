"""Classes are told by captions and by a linear probe, as well as the features allow and no better."""

import pytest
import torch

from protect.verify.attackers.classification import class_chance, classes, classification
from protect.verify.records import LINEAR_PROBE, ZERO_SHOT

KINDS = 4


def features(noise, texts_agree=True, count=400):
    """Pictures near the direction of their class; captions near the same one, or near that of another class."""
    random = torch.Generator().manual_seed(0)
    numbers = torch.randint(KINDS, (count,), generator=random)
    centres = torch.eye(KINDS, 16)
    images = centres[numbers] + noise * torch.randn(count, 16, generator=random)
    texts = centres[numbers if texts_agree else (numbers + 1) % KINDS] + 0.1 * torch.randn(
        count, 16, generator=random
    )
    normal = (torch.nn.functional.normalize(part, dim=1) for part in (images, texts))
    return *normal, torch.arange(count), tuple(f"kind {number}" for number in numbers.tolist())


def test_clear_features_are_classified_by_both_ways():
    assert classification(*features(0.05)) == {ZERO_SHOT: 1.0, LINEAR_PROBE: 1.0}


def test_noise_is_classified_by_luck():
    found = classification(*features(100.0))
    assert found[ZERO_SHOT] == pytest.approx(1 / KINDS, abs=0.1)
    assert found[LINEAR_PROBE] == pytest.approx(1 / KINDS, abs=0.12)


def test_a_probe_finds_features_that_captions_do_not_name():
    found = classification(*features(0.05, texts_agree=False))
    assert found[ZERO_SHOT] == 0 and found[LINEAR_PROBE] == 1


def test_several_captions_a_picture_describe_its_class():
    images, texts, _, labels = features(0.05, count=40)
    owner = torch.arange(40).repeat_interleave(2)
    assert classification(images, texts.repeat_interleave(2, 0), owner, labels)[ZERO_SHOT] == 1


@pytest.mark.parametrize("labels", [(), (None, None), ("a", None), ("a", "a")])
def test_without_classes_there_are_no_accuracies(labels):
    images = torch.eye(max(2, len(labels)), 4)
    assert classes(labels) == [] and class_chance(labels) == {}
    assert classification(images, images, torch.arange(len(images)), labels) == {}


def test_chance_is_a_random_class_and_the_most_common_one():
    assert class_chance(("a", "a", "a", "b")) == {ZERO_SHOT: 0.5, LINEAR_PROBE: 0.75}
