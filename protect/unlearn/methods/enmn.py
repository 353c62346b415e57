"""ENMN, read as UNSIR (Tarun et al. 2023): error-maximising images impair, retain pairs repair.

For each forget class images are learned that the frozen original gets as wrong as it can; training on them under
that class's caption overwrites what the weights know of it. A short repair on retain pairs follows.
"""

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from protect.settings.unlearn import ForgetSettings
from protect.types import Images
from protect.unlearn.head import Clip
from protect.unlearn.step import Step
from protect.unlearn.task import Task

COPIES = 8  # error-maximising images a forget class
STEPS = 40
STEP_SIZE = 0.1
SIZE_PENALTY = 0.1

Impairing = tuple[Images, tuple[str, ...]]


def prepare(original: Clip, task: Task, most: int, generator: torch.Generator) -> Impairing:
    """Images for each forget caption that the original finds most unlike it among all captions.

    most: captions of each side that take part, where nearly every pair has its own.
    """
    forget, retain = (list(dict.fromkeys(lines[0] for lines in p.captions)) for p in (task.forget, task.retain))
    captions, others = forget[:most], [text for text in retain if text not in set(forget)][:most]
    size, device = original.towers.size, original.towers.device
    with torch.no_grad():
        texts = original.texts([*captions, *others])
    own = torch.arange(len(captions), device=device).repeat_interleave(COPIES)
    images = torch.rand((len(own), 3, size, size), generator=generator).to(device).requires_grad_()
    optimizer = torch.optim.Adam([images], STEP_SIZE)
    for _ in range(STEPS):
        error = F.cross_entropy(original.logits(original.images(images), texts), own)
        loss = SIZE_PENALTY * (images - 0.5).square().mean() - error
        (images.grad,) = torch.autograd.grad(loss, images)
        optimizer.step()
        with torch.no_grad():
            images.clamp_(0, 1)
    return images.detach(), tuple(captions[i] for i in own.tolist())


def loss(step: Step, settings: ForgetSettings) -> Float[Tensor, ""]:
    student, retain = step.student, step.retain
    images, texts = retain.images, retain.texts
    if step.progress < settings.impair:
        noise, captions = step.prepared
        images = torch.cat([images, student.images(noise)])
        texts = torch.cat([texts, student.texts(captions)])
    return student.training_loss(images, texts)
