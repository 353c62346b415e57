"""A CLIP's face: images and tokens in, unit features out; normalisation, device and precision inside."""

from collections.abc import Iterable
from contextlib import AbstractContextManager
from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from protect.clip.device import autocast_type
from protect.types import Features, Images, Tokens

MEAN = (0.48145466, 0.4578275, 0.40821073)  # CLIP's own, for images in [0, 1]
STD = (0.26862954, 0.26130258, 0.27577711)
SCALE_LIMIT = 100.0


class DualEncoder(nn.Module):
    """Two towers and a tokenizer; text can start from token ids or from their embeddings.

    size: side of the square images it takes, in pixels. context: most tokens a caption may have.
    """

    size: int
    context: int
    model: Any
    start_token: int | None
    end_token: int
    mean: Tensor
    std: Tensor

    def __init__(self, name: str, device: torch.device) -> None:
        super().__init__()
        self.name = name
        self.autocast_type = autocast_type(device)
        self.register_buffer("mean", torch.tensor(MEAN).view(1, 3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(STD).view(1, 3, 1, 1), persistent=False)

    @property
    def device(self) -> torch.device:
        return self.mean.device

    @property
    def scale(self) -> Float[Tensor, ""]:
        """Inverse temperature of the contrastive loss."""
        return self.logit_scale.exp().clamp(max=SCALE_LIMIT).reshape(())

    def precision(self) -> AbstractContextManager[Any]:
        """Autocast to bf16 where this device computes faster in it, else nothing."""
        fast = self.autocast_type is not None
        return torch.autocast(self.device.type, dtype=self.autocast_type or torch.bfloat16, enabled=fast)

    def images(self, x: Images) -> Features:
        with self.precision():
            x = ((x - self.mean) / self.std).contiguous(memory_format=torch.channels_last)
            features = self._image_tower(x)
        return F.normalize(features.float(), dim=-1)

    def text(self, tokens: Tokens) -> Features:
        return self.text_from(self.embed(tokens), tokens)

    def text_from(self, embeddings: Float[Tensor, "batch length width"], tokens: Tokens) -> Features:
        """Text features from token embeddings; `tokens` says where each caption ends."""
        with self.precision():
            features = self._text_tower(embeddings, tokens)
        return F.normalize(features.float(), dim=-1)

    def embed(self, tokens: Tokens) -> Float[Tensor, "batch length width"]:
        return F.embedding(tokens, self.embedding_table)

    @property
    def logit_scale(self) -> Tensor:
        """Logarithm of the inverse temperature, as both libraries name it."""
        return self.model.logit_scale

    @property
    def embedding_table(self) -> Float[Tensor, "vocabulary width"]:
        raise NotImplementedError

    def encode(self, caption: str) -> tuple[int, ...]:
        """Token ids of a text without start, end and padding, uncut."""
        raise NotImplementedError

    def rows(self, captions: Iterable[tuple[int, ...]]) -> Tokens:
        """Token rows with start and end, cut to the context and padded to the longest."""
        raise NotImplementedError

    def _image_tower(self, x: Tensor) -> Tensor:
        raise NotImplementedError

    def _text_tower(self, embeddings: Tensor, tokens: Tensor) -> Tensor:
        raise NotImplementedError


def token_rows(
    captions: Iterable[tuple[int, ...]], start: int | None, end: int, padding: int, context: int
) -> Tokens:
    """Rows of token ids, each start + caption + end, captions cut so that the end token always stays."""
    first = [] if start is None else [start]
    rows = [[*first, *caption[: context - 1 - len(first)], end] for caption in captions]
    length = max(map(len, rows))
    return torch.tensor([row + [padding] * (length - len(row)) for row in rows])
