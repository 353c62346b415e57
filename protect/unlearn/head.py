"""The cosine head of a CLIP: embeddings and their contrastive loss."""

import hashlib
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from protect.clip.models import DualEncoder
from protect.types import Features, Images


class Clip(nn.Module):
    """CLIP: embeddings of unit length, compared by their cosine."""

    geometry = "sphere"

    def __init__(self, towers: DualEncoder) -> None:
        super().__init__()
        self.towers = towers

    @property
    def scale(self) -> Float[Tensor, ""]:
        """Inverse temperature."""
        return self.towers.scale

    def images(self, x: Images) -> Features:
        return self.towers.images(x)

    def texts(self, captions: Sequence[str]) -> Features:
        """Embeddings of captions; equal ones are computed once."""
        unique = list(dict.fromkeys(captions))
        place = {caption: i for i, caption in enumerate(unique)}
        points = self._points(self.towers.rows(self.towers.encode(caption) for caption in unique))
        return points[[place[caption] for caption in captions]]

    def similarity(self, a: Float[Tensor, "batch dim"], b: Float[Tensor, "others dim"]) -> Tensor:
        """Of all pairs, (batch, others)."""
        return a @ b.T

    def matched(self, a: Features, b: Features) -> Float[Tensor, " batch"]:
        """Similarity of row i to row i."""
        return (a * b).sum(dim=-1)

    def logits(self, a: Float[Tensor, "batch dim"], b: Float[Tensor, "others dim"]) -> Tensor:
        return self.scale * self.similarity(a, b)

    def middle(self, points: Features) -> Float[Tensor, " dim"]:
        """The embedding that stands for all of these: what a class is, from its captions."""
        return F.normalize(points.mean(dim=0), dim=-1)

    def training_loss(self, images: Features, texts: Features) -> Float[Tensor, ""]:
        """What such a model is trained with from scratch."""
        return contrast(self.logits(images, texts))

    def parts_loss(self, x: Images, captions: Sequence[str]) -> Float[Tensor, ""]:
        """`training_loss` of a batch as read: images and captions."""
        return self.training_loss(self.images(x), self.texts(captions))

    def head(self) -> dict[str, float]:
        """What the towers' own file does not hold."""
        return {}

    def fingerprint(self) -> str:
        """Hash of every weight and buffer."""
        digest = hashlib.sha256()
        for name, value in sorted(self.state_dict().items()):
            digest.update(name.encode())
            digest.update(value.detach().cpu().reshape(-1).view(torch.uint8).numpy().tobytes())
        return digest.hexdigest()

    def _points(self, tokens: Tensor) -> Features:
        return self.towers.text(tokens)


def contrast(logits: Float[Tensor, "batch batch"]) -> Float[Tensor, ""]:
    """Symmetric cross entropy of a batch's logits; pair i is the match (Radford et al. 2021)."""
    match = torch.arange(len(logits), device=logits.device)
    return (F.cross_entropy(logits, match) + F.cross_entropy(logits.T, match)) / 2
