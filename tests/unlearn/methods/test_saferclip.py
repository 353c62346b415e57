"""SafeR-CLIP: the nearest safe item is the target, the own counterpart the only wrong answer, easy ones first."""

import pytest
import torch
import torch.nn.functional as F
from given_embeddings import SCALE, GivenEmbeddings, unit

from protect.settings.unlearn import ForgetSettings
from protect.unlearn.methods.saferclip import FIRST, loss, relative, target
from protect.unlearn.step import Part, Step


def part(images, texts, images_before, texts_before):
    made = object.__new__(Part)
    made.captions, made.reference, made.student = [""] * len(images), GivenEmbeddings(), GivenEmbeddings()
    made.images, made.texts = images.clone().requires_grad_(), texts.clone().requires_grad_()
    made.images_before, made.texts_before = images_before, texts_before
    return made


def test_the_target_is_the_nearest_safe_item_whatever_its_place():
    safe = unit(1)
    order = torch.tensor([3, 0, 5, 1, 4, 2])
    unsafe = F.normalize(safe[order] + 0.1 * unit(2), dim=-1)
    assert target(unsafe, safe, 1.0).nearest.tolist() == order.tolist()


@pytest.mark.parametrize(("progress", "count"), [(0.0, 3), (0.5, 7), (1.0, 10), (2.0, 10)])
def test_easy_inputs_come_first_and_the_others_join(progress, count):
    safe = unit(1, 10)
    spread = torch.linspace(0.05, 2.0, 10)[torch.randperm(10, generator=torch.Generator().manual_seed(3))]
    unsafe = F.normalize(safe + spread[:, None] * unit(2, 10), dim=-1)
    found = target(unsafe, safe, progress)
    assert len(found.easy) == count and count >= 10 * FIRST
    closeness = (unsafe @ safe.T).amax(dim=1)
    rest = [i for i in range(10) if i not in found.easy.tolist()]
    assert not rest or closeness[found.easy].min() >= closeness[rest].max()


def test_only_the_own_counterpart_is_a_wrong_answer():
    student, safe, own = unit(1), unit(2), unit(3)
    chosen = target(student, safe, 1.0)
    value = relative(student, safe, [own], chosen, SCALE)
    others = safe.clone()
    others[[i for i in range(6) if i not in chosen.nearest.tolist()]] *= -1
    assert torch.equal(relative(student, others, [own], chosen, SCALE), value)  # other safe items do not matter
    pairs = torch.stack([(student * safe[chosen.nearest]).sum(1), (student * own).sum(1)], 1)
    right = F.cross_entropy(SCALE * pairs, torch.zeros(6, dtype=torch.long))
    assert torch.allclose(value, right, atol=1e-5)


def test_a_step_brings_unsafe_inputs_to_safe_ones_and_leaves_safe_ones():
    unsafe = part(unit(1), unit(2), unit(1), unit(2))
    safe = part(unit(3), unit(4), unit(3), unit(4))
    step = Step(unsafe, safe, progress=1.0)
    before = loss(step, ForgetSettings())
    grads = torch.autograd.grad(before, [unsafe.images, unsafe.texts, safe.images, safe.texts], allow_unused=True)
    toward = safe.texts_before[target(unsafe.images_before, safe.images_before, 1.0).nearest]
    assert ((grads[0] * toward).sum(1) < 0).all()  # downhill is nearer to the target
    on_sphere = grads[2] - (grads[2] * safe.images).sum(1, keepdim=True) * safe.images
    assert on_sphere.abs().max() < 1e-6  # a safe item that has not moved is not pulled anywhere
