"""tiny-hf: a small CLIP of transformers whose tokenizer is learned from the captions it trains on."""

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor

from protect.clip.hugging_face import HuggingFace
from protect.clip.open_clip_import import open_clip
from protect.clip.tiny import ConvStem
from protect.verify.attackers.wordpiece import PIECES, learned_tokenizer

NAME = "tiny-hf"
SIZE, PATCH, CONTEXT = 64, 8, 77
_TEXT = {"hidden_size": 128, "intermediate_size": 512, "num_hidden_layers": 2, "num_attention_heads": 2}
_VISION = {"hidden_size": 96, "intermediate_size": 384, "num_hidden_layers": 3, "num_attention_heads": 3}


class Stem(ConvStem):
    """A convolutional patch embedding in the place of transformers' own, which is asked for its weight's type."""

    @property
    def weight(self) -> Tensor:
        last = self[-1].weight
        assert isinstance(last, Tensor)
        return last


def tiny_hf(captions: Iterable[str], device: torch.device, size: int | None = None) -> HuggingFace:
    """Untrained, drawn from torch's global generator; raises ValueError for sizes that its patches do not fill."""
    size = SIZE if size is None else size
    if size % PATCH:
        raise ValueError(f"size: expected a multiple of {PATCH} for {NAME}, got {size}")
    tokenizer = learned_tokenizer(captions, CONTEXT)
    open_clip()  # transformers imports torchvision, which may need clip_import's help
    from transformers import CLIPConfig, CLIPModel

    config = CLIPConfig(
        text_config=_TEXT | _special(tokenizer) | {"max_position_embeddings": CONTEXT},
        vision_config=_VISION | {"image_size": size, "patch_size": PATCH},
        projection_dim=128,
    )
    model = CLIPModel(config)
    embeddings = model.vision_model.embeddings
    embeddings.patch_embedding = Stem(_VISION["hidden_size"], PATCH)
    return HuggingFace(NAME, model, tokenizer, device)


def _special(tokenizer: Any) -> dict[str, int]:
    return {
        "vocab_size": max(PIECES, len(tokenizer)),  # so that every arm starts from the same weights
        "pad_token_id": tokenizer.pad_token_id,
        "bos_token_id": tokenizer.bos_token_id,
        "eos_token_id": tokenizer.eos_token_id,
    }
