"""What a trained CLIP knows of classes: zero-shot classification, and a linear probe of its image tower."""

from collections import Counter
from collections.abc import Sequence

import torch
from jaxtyping import Float, Int
from torch import Tensor

from protect.seeds import generator
from protect.types import Features
from protect.verify.checks.linear_probe import ridge_guesses
from protect.verify.records import LINEAR_PROBE, ZERO_SHOT

PROMPTS = 64  # captions that describe a class, at most


def classes(labels: Sequence[str | None]) -> list[str]:
    """The classes of a test set, sorted; none when a picture has no label or all have the same."""
    names = sorted({label for label in labels if label is not None})
    return names if None not in labels and len(names) > 1 else []


def classification(
    images: Float[Tensor, "images dim"],
    texts: Float[Tensor, "texts dim"],
    owner: Int[Tensor, " texts"],
    labels: Sequence[str | None],
) -> dict[str, float]:
    """Accuracies (0 to 1) by both ways; empty where there are no classes. Features have unit length."""
    names = classes(labels)
    if not names:
        return {}
    images, texts, owner = images.float().cpu(), texts.float().cpu(), owner.cpu()
    numbers = torch.tensor([names.index(str(label)) for label in labels])
    guesses = (images @ prototypes(texts, numbers[owner], len(names)).T).argmax(1)
    return {
        ZERO_SHOT: float((guesses == numbers).double().mean()),
        LINEAR_PROBE: linear_probe(images, numbers, len(names)),
    }


def prototypes(
    texts: Float[Tensor, "texts dim"], numbers: Int[Tensor, " texts"], count: int
) -> Float[Tensor, "classes dim"]:
    """Each class as the mean of its first captions' features."""
    means = [texts[numbers == number][:PROMPTS].mean(0) for number in range(count)]
    return torch.nn.functional.normalize(torch.stack(means), dim=1)


def linear_probe(images: Features, numbers: Int[Tensor, " images"], count: int) -> float:
    """Accuracy on one half of the pictures of a ridge classifier that was fitted on the features of the other."""
    order = torch.randperm(len(images), generator=generator(0, "linear probe"))
    known, asked = order[: len(order) // 2], order[len(order) // 2 :]
    guesses = ridge_guesses(images[known], numbers[known], images[asked], count)
    return float((guesses == numbers[asked]).double().mean())


def class_chance(labels: Sequence[str | None]) -> dict[str, float]:
    """Accuracies without any knowledge: a random class, and always the most common one."""
    names = classes(labels)
    if not names:
        return {}
    return {ZERO_SHOT: 1 / len(names), LINEAR_PROBE: max(Counter(labels).values()) / len(labels)}
