"""Models of open_clip behind DualEncoder."""

from collections.abc import Iterable
from functools import lru_cache, partial
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from protect.clip.dual_encoder import DualEncoder, token_rows
from protect.clip.fast.attention import use_self_attention
from protect.clip.fast.batch_norm import use_frozen_norms
from protect.clip.fast.patch_embedding import use_patch_products
from protect.clip.fast.pooling import use_last_layers
from protect.clip.fast.ragged import Layout, ends_of, is_causal
from protect.clip.open_clip_import import open_clip
from protect.clip.tiny import TINY, _tiny_model
from protect.types import Tokens

TEXTS_KEPT = 1 << 16  # tokenised captions kept at most: the same ones return at every step of a fit


class OpenClip(DualEncoder):
    """A CLIP of open_clip, or one of the tiny ones built from its parts."""

    def __init__(
        self, name: str, device: torch.device, pretrained: str | None = None, size: int | None = None
    ) -> None:
        super().__init__(name, device)
        self.model = _open_clip_model(name, pretrained, size)
        use_self_attention(self.model)
        use_frozen_norms(self.model)
        use_patch_products(self.model)
        use_last_layers(self.model)
        module = open_clip()
        known = name if module.get_model_config(name) is not None else "ViT-B-32"
        self.tokenizer = module.get_tokenizer(known, context_length=77)
        self._encode = lru_cache(TEXTS_KEPT)(partial(_ids, self.tokenizer))  # without self: no cycle keeps it alive
        if not hasattr(self.tokenizer, "eot_token_id"):
            raise ValueError(f"surrogate {name}: expected CLIP's own tokenizer; give a Hugging Face folder instead")
        image_size = self.model.visual.image_size
        self.size = image_size[0] if isinstance(image_size, tuple) else image_size
        if getattr(self.text_model, "cls_emb", None) is not None:
            raise ValueError(f"surrogate {name}: expected a CLIP whose text ends in its end token; CoCa is none")
        self.context = self.text_model.context_length
        self.start_token, self.end_token = self.tokenizer.sot_token_id, self.tokenizer.eot_token_id
        self.to(device).to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    @property
    def embedding_table(self) -> Tensor:
        return self.text_model.token_embedding.weight

    def encode(self, caption: str) -> tuple[int, ...]:
        return self._encode(caption)

    def rows(self, captions: Iterable[tuple[int, ...]]) -> Tokens:
        rows = token_rows(captions, self.start_token, self.end_token, 0, self.context)
        if self.text_model.attn_mask is None:  # every token sees the padding: its length matters
            rows = F.pad(rows, (0, self.context - rows.shape[1]))
        return rows.to(self.device)

    @property
    def text_model(self) -> Any:
        """The module that holds the text tower's parts."""
        return getattr(self.model, "text", self.model)

    def _image_tower(self, x: Tensor) -> Tensor:
        return self.model.encode_image(x)

    def _text_tower(self, embeddings: Tensor, tokens: Tensor) -> Tensor:
        text, (rows, length) = self.text_model, tokens.shape
        x, end = embeddings + text.positional_embedding[:length], tokens.argmax(dim=-1)
        if is_causal(text):
            layout = Layout(torch.zeros_like(end), end + 1)
            x = x[:, : layout.there.shape[1]].flatten(0, 1).index_select(0, layout.filled)
            return ends_of(text, x, layout)
        mask = None if text.attn_mask is None else text.attn_mask[:length, :length]
        x = text.transformer(x, attn_mask=mask)[torch.arange(rows, device=x.device), end]
        x = text.ln_final(x)
        projection = text.text_projection
        return projection(x) if isinstance(projection, nn.Linear) else x @ projection


def _ids(tokenizer: Any, caption: str) -> tuple[int, ...]:
    return tuple(tokenizer.encode(caption))


def own_size(name: str) -> int:
    """Side of the images that a model takes by itself; ValueError for names that open_clip does not know."""
    size = _vision_config(name)["image_size"]
    return max(size) if isinstance(size, list | tuple) else size


def _open_clip_model(name: str, pretrained: str | None, size: int | None) -> Any:
    _check_size(name, size)
    try:
        if name in TINY:
            return _tiny_model(name, pretrained, size)
        return open_clip().create_model(name, pretrained=pretrained, force_image_size=size)
    except Exception as error:  # a file that holds no weights fails in many ways: pickle's, zip's, safetensors' ...
        if not pretrained:
            raise
        found = f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"
        raise ValueError(f"surrogate {name}: expected its weights in {pretrained!r}, got {found}") from error


def _check_size(name: str, size: int | None) -> None:
    """ResNets halve an image five times and the tiny ViT's stem three times; ValueError where a rest would stay."""
    resnet = isinstance(_vision_config(name).get("layers"), list)
    step = 32 if resnet else 8 if name in TINY else 1
    if size is not None and (size <= 0 or size % step):
        raise ValueError(f"size: expected a multiple of {step} for {name}, got {size}")


def _vision_config(name: str) -> dict[str, Any]:
    if name in TINY:
        return TINY[name]["vision_cfg"]
    _check_known(name)
    return open_clip().get_model_config(name)["vision_cfg"]


def _check_known(name: str) -> None:
    if open_clip().get_model_config(name) is None:
        known = ", ".join([*TINY, "RN50", "RN101", "ViT-B-32", "ViT-B-16"])
        raise ValueError(
            f"surrogate: expected an open_clip name ({known}, ...) or a Hugging Face folder, got {name!r}"
        )
