"""What a method sees of a batch: embeddings of forget and retain pairs, by the student and by the original."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from protect.types import Features, Images
from protect.unlearn.head import Clip


@dataclass
class Part:
    """Forget or retain pairs of a batch; embeddings are computed when they are first asked for.

    `images` and `texts` are the student's and carry gradients, `images_before` and `texts_before` the frozen
    original's. kinds: the class number of each pair.
    """

    student: Clip
    reference: Clip
    pixels: Images
    captions: Sequence[str]
    kinds: Int[Tensor, " batch"] | None = None

    def __len__(self) -> int:
        return len(self.captions)

    @cached_property
    def images(self) -> Features:
        return self.student.images(self.pixels)

    @cached_property
    def texts(self) -> Features:
        return self.student.texts(self.captions)

    @cached_property
    def images_before(self) -> Features:
        with torch.no_grad():
            return self.reference.images(self.pixels)

    @cached_property
    def texts_before(self) -> Features:
        with torch.no_grad():
            return self.reference.texts(self.captions)


@dataclass
class Step:
    """One step of unlearning. The student's norms are frozen, as in use.

    share: forget pairs for each retain pair in the whole data. progress: 0 at the first step, 1 after the last.
    prepared: what the method's `prepare` made. random: for what the method draws.
    """

    forget: Part
    retain: Part
    share: float = 1.0
    progress: float = 0.0
    prepared: Any = None
    random: torch.Generator = field(default_factory=torch.Generator)

    @property
    def student(self) -> Clip:
        return self.retain.student

    @property
    def reference(self) -> Clip:
        return self.retain.reference

    @cached_property
    def union(self) -> Float[Tensor, "pairs pairs"]:
        """The student's logits of retain, then forget images (rows) against texts in the same order."""
        images = torch.cat([self.retain.images, self.forget.images])
        return self.student.logits(images, torch.cat([self.retain.texts, self.forget.texts]))

    def differ(self) -> Bool[Tensor, "forget forget"]:
        """Which images and texts of the forget pairs do not belong together: their captions are other words."""
        number = {caption: i for i, caption in enumerate(self.forget.captions)}
        numbers = torch.tensor([number[caption] for caption in self.forget.captions], device=self.union.device)
        return numbers[:, None] != numbers
