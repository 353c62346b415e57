"""Hyperbolic heads on a CLIP's towers: embeddings lifted onto a hyperboloid, captions as cones around images."""

import math
import re
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from protect.clip.models import DualEncoder
from protect.types import Features, Images
from protect.unlearn import lorentz
from protect.unlearn.head import Clip, contrast

CURVATURE_LIMITS = (math.log(0.1), math.log(10.0))
ENTAILMENT = 0.2  # weight of the cones beside the contrastive loss
ACROSS, WITHIN = 0.7, 1.2  # HyCoCLIP's apertures: between the modalities, and from part to whole
BEFORE_A_PART = re.compile(r"\b(?:a|an|the|of|in|on|at|with|and)\b\s+", re.IGNORECASE)


class Meru(Clip):
    """MERU (Desai et al. 2023): space parts of points of a learned curvature, compared by negative distance."""

    geometry = "meru"

    def __init__(
        self,
        towers: DualEncoder,
        log_curvature: float = 0.0,
        log_image_gain: float | None = None,
        log_text_gain: float | None = None,
    ) -> None:
        super().__init__(towers)
        start = -math.log(_dimension(towers)) / 2
        self.log_curvature = nn.Parameter(torch.tensor(float(log_curvature)))
        self.log_image_gain = nn.Parameter(torch.tensor(start if log_image_gain is None else log_image_gain))
        self.log_text_gain = nn.Parameter(torch.tensor(start if log_text_gain is None else log_text_gain))

    @property
    def curvature(self) -> Float[Tensor, ""]:
        """c; the space has curvature -c."""
        return self.log_curvature.clamp(*CURVATURE_LIMITS).exp()

    def images(self, x: Images) -> Features:
        return self._lift(image_vectors(self.towers, x), self.log_image_gain)

    def similarity(self, a: Float[Tensor, "batch dim"], b: Float[Tensor, "others dim"]) -> Tensor:
        return -lorentz.distances(a, b, self.curvature)

    def matched(self, a: Features, b: Features) -> Float[Tensor, " batch"]:
        return -lorentz.distance(a, b, self.curvature)

    def middle(self, points: Features) -> Float[Tensor, " dim"]:
        c = self.curvature
        return lorentz.exp0(lorentz.log0(points, c).mean(dim=0, keepdim=True), c)[0]

    def training_loss(self, images: Features, texts: Features) -> Float[Tensor, ""]:
        return contrast(self.logits(images, texts)) + ENTAILMENT * self.entailment(texts, images)

    def entailment(self, general: Features, special: Features, aperture: float = 1.0) -> Float[Tensor, ""]:
        """Mean angle by which points lie outside the cones that should contain them."""
        return lorentz.outside(general, special, self.curvature, aperture).clamp(min=0).mean()

    def head(self) -> dict[str, float]:
        return {name: float(value.detach()) for name, value in self.named_parameters(recurse=False)}

    def _points(self, tokens: Tensor) -> Features:
        return self._lift(text_vectors(self.towers, tokens), self.log_text_gain)

    def _lift(self, vectors: Features, log_gain: Tensor) -> Features:
        return lorentz.exp0(vectors * log_gain.clamp(max=0.0).exp(), self.curvature)


class HyCoClip(Meru):
    """HyCoCLIP (Pal et al. 2025): parts of an image and of its caption are the more general concepts.

    The paper's parts come from grounded boxes. Here a part of an image is its middle, a part of a caption the
    words after its last article or preposition.
    """

    geometry = "hycoclip"

    def parts_loss(self, x: Images, captions: Sequence[str]) -> Float[Tensor, ""]:
        images, texts = self.images(x), self.texts(captions)
        image_parts, text_parts = self.images(middles(x)), self.texts([part_of(caption) for caption in captions])
        match = torch.arange(len(x), device=images.device)
        ways = ((images, texts), (texts, images), (image_parts, texts), (text_parts, images))
        contrasts = [F.cross_entropy(self.logits(query, gallery), match) for query, gallery in ways]
        cones = [
            self.entailment(texts, images, ACROSS),
            self.entailment(text_parts, image_parts, ACROSS),
            self.entailment(image_parts, images, WITHIN),
            self.entailment(text_parts, texts, WITHIN),
        ]
        return torch.stack(contrasts).mean() + ENTAILMENT / 2 * torch.stack(cones).sum()


def part_of(caption: str) -> str:
    """The last thing that a caption names."""
    return BEFORE_A_PART.split(caption)[-1].strip() or caption


def middles(x: Images) -> Images:
    """The middle of each image, half as wide and high, at the image's size."""
    height, width = x.shape[2:]
    middle = x[:, :, height // 4 : height - height // 4, width // 4 : width - width // 4]
    return F.interpolate(middle, (height, width), mode="bilinear", antialias=True)


def image_vectors(towers: DualEncoder, x: Images) -> Features:
    """The image tower's output as it is, not brought to unit length."""
    with towers.precision():
        x = ((x - towers.mean) / towers.std).contiguous(memory_format=torch.channels_last)
        return towers._image_tower(x).float()


def text_vectors(towers: DualEncoder, tokens: Tensor) -> Features:
    """The text tower's output as it is, not brought to unit length."""
    with towers.precision():
        return towers._text_tower(towers.embed(tokens), tokens).float()


def _dimension(towers: DualEncoder) -> int:
    with torch.no_grad():
        return text_vectors(towers, towers.rows([()])).shape[1]
