"""What the texts of some pairs are told apart from: each other (a batch), or stored pairs (anchors)."""

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from protect.clip.losses import clip_loss, clip_rows
from protect.types import Features

Options = Float[Tensor, "batch option dim"]  # text features of each row with each of its options


@runtime_checkable
class Contrast(Protocol):
    """The contrastive loss as a function of the rows' texts; their images stay what they are."""

    def loss(self, texts: Features) -> Float[Tensor, ""]:
        """What is lowered."""

    def options(self, texts: Options) -> Float[Tensor, "batch option"]:
        """The loss when one row alone takes an option, up to a constant; the first option is its present text."""

    def accepted(self, texts: Features, asked: Features) -> Bool[Tensor, " batch"]:
        """Which rows take the text they ask for."""


@dataclass(frozen=True)
class InBatch:
    """The rows are contrasted with each other, as in training."""

    images: Features
    scale: Float[Tensor, ""]

    def loss(self, texts: Features) -> Float[Tensor, ""]:
        return clip_loss(self.images, texts, self.scale)

    @torch.no_grad()
    def options(self, texts: Options) -> Float[Tensor, "batch option"]:
        """Exact, from one matrix: a new text changes its row's softmax over images and one term of every image's
        softmax over texts, whose other terms are the present sum without its own."""
        new = self.scale * texts @ self.images.T  # (row, option, image)
        by_image = torch.logaddexp(_sums_without(new[:, 0].T).T[:, None], new).sum(dim=2)
        matched = new.diagonal(dim1=0, dim2=2).T
        return (by_image + new.logsumexp(dim=2) - 2 * matched) / (2 * len(texts))

    @torch.no_grad()
    def accepted(self, texts: Features, asked: Features) -> Bool[Tensor, " batch"]:
        """Rows whose own loss falls when all rows take theirs; none where the batch's loss does not fall with these.

        Each row chose while the others stood still; together they may take the same word and be told apart less
        than before.
        """
        falls = clip_rows(self.images, asked, self.scale) < clip_rows(self.images, texts, self.scale)
        together = torch.where(falls[:, None], asked, texts)
        return falls & (self.loss(together) < self.loss(texts))


@dataclass(frozen=True)
class WithAnchors:
    """Each row is contrasted with stored pairs alone, so that it does not matter which rows stand beside it."""

    images: Features
    scale: Float[Tensor, ""]
    anchor_images: Float[Tensor, "anchor dim"]
    anchor_texts: Float[Tensor, "anchor dim"]

    def rows(self, texts: Options) -> Float[Tensor, "batch option"]:
        """The loss of each row with each option, both directions averaged."""
        matched = torch.einsum("bod,bd->bo", texts, self.images)
        by_text = torch.cat([matched[..., None], texts @ self.anchor_images.T], dim=2)
        others = (self.images @ self.anchor_texts.T)[:, None].expand(-1, texts.shape[1], -1)
        by_image = torch.cat([matched[..., None], others], dim=2)
        sums = (self.scale * by_text).logsumexp(dim=2) + (self.scale * by_image).logsumexp(dim=2)
        return sums / 2 - self.scale * matched

    def loss(self, texts: Features) -> Float[Tensor, ""]:
        return self.rows(texts[:, None]).sum()

    @torch.no_grad()
    def options(self, texts: Options) -> Float[Tensor, "batch option"]:
        return self.rows(texts)

    def accepted(self, texts: Features, asked: Features) -> Bool[Tensor, " batch"]:
        """All: no row changes another's loss, and each asks for its best."""
        return torch.ones(len(texts), dtype=torch.bool, device=texts.device)


def _sums_without(logits: Float[Tensor, "image text"]) -> Float[Tensor, "image text"]:
    """Logarithm of each row's sum of exponentials without the one entry of each place."""
    whole, largest = logits.logsumexp(dim=1, keepdim=True), logits.argmax(dim=1, keepdim=True)
    others = logits.scatter(1, largest, -torch.inf).logsumexp(dim=1, keepdim=True)
    rest = whole + torch.log1p(-(logits - whole).exp().clamp(max=0.75))  # at most a half but for the largest
    return rest.scatter(1, largest, others)
