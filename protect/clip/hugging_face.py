"""CLIPs and SigLIPs of transformers, from a folder or built by the caller, with the tokenizer that goes with them."""

import json
from collections.abc import Iterable
from math import log
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from protect.clip.dual_encoder import DualEncoder, token_rows
from protect.clip.open_clip_import import open_clip
from protect.types import Tokens

START_SCALE = log(1 / 0.07)  # CLIP's; SigLIP starts far lower, for another loss


class HuggingFace(DualEncoder):
    """A dual-tower model of transformers and its tokenizer."""

    def __init__(self, name: str, model: Any, tokenizer: Any, device: torch.device) -> None:
        super().__init__(name, device)
        self.model, self.tokenizer = model.float(), tokenizer
        self.size = model.config.vision_config.image_size
        self.context = model.config.text_config.max_position_embeddings
        # SigLIP reads a caption off the last position, so padding is part of the caption
        self._whole_rows = model.config.model_type.startswith("siglip")
        special = tokenizer("").input_ids
        self.start_token, self.end_token = (special[0] if len(special) > 1 else None), special[-1]
        self.to(device).to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    @property
    def embedding_table(self) -> Tensor:
        return self.model.text_model.get_input_embeddings().weight

    def encode(self, caption: str) -> tuple[int, ...]:
        return tuple(self.tokenizer(caption, add_special_tokens=False).input_ids)

    def rows(self, captions: Iterable[tuple[int, ...]]) -> Tokens:
        padding = self.tokenizer.pad_token_id
        padding = self.end_token if padding is None else padding
        rows = token_rows(captions, self.start_token, self.end_token, padding, self.context)
        if self._whole_rows:
            rows = F.pad(rows, (0, self.context - rows.shape[1]), value=padding)
        return rows.to(self.device)

    def _image_tower(self, x: Tensor) -> Tensor:
        return self._pooled(self.model.get_image_features(pixel_values=x))

    def _text_tower(self, embeddings: Tensor, tokens: Tensor) -> Tensor:
        table = self.model.text_model.get_input_embeddings()
        hook = table.register_forward_hook(lambda *_: embeddings)
        try:
            return self._pooled(self.model.get_text_features(input_ids=tokens))
        finally:
            hook.remove()

    def _pooled(self, features: Any) -> Tensor:
        return features if isinstance(features, Tensor) else features.pooler_output


def from_folder(folder: Path, device: torch.device, scratch: bool = False, size: int | None = None) -> HuggingFace:
    """The model saved in a folder; or, from scratch, an untrained one of its configuration, at any size.

    Raises ValueError for folders without a dual-tower model (from scratch: its config.json) and a tokenizer.
    """
    open_clip()  # transformers imports torchvision, which may need clip_import's help
    from transformers import AutoConfig, AutoModel, AutoTokenizer

    try:
        if scratch:
            config = AutoConfig.from_pretrained(folder, local_files_only=True)
            config.vision_config.image_size = size or config.vision_config.image_size
            model = AutoModel.from_config(config)
            model.logit_scale.data.fill_(START_SCALE)
        else:
            model = AutoModel.from_pretrained(folder, local_files_only=True)
        tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
        return _normalised(HuggingFace(str(folder), model, tokenizer, device), folder)
    except (OSError, ValueError, AttributeError, KeyError) as error:
        found = " ".join(str(error).split())[:300]
        raise ValueError(f"surrogate {folder}: expected a saved CLIP model and tokenizer, got {found}") from error


def own_size(folder: Path) -> int:
    """Side of the images that a folder's model takes, read from its configuration; ValueError when it has none."""
    try:
        return int(json.loads((folder / "config.json").read_text(encoding="utf-8"))["vision_config"]["image_size"])
    except (OSError, ValueError, KeyError, TypeError):
        return from_folder(folder, torch.device("cpu")).size  # configurations that leave the size to the default


def _normalised(model: HuggingFace, folder: Path) -> HuggingFace:
    """With the mean and deviation of the folder's preprocessor, where it names them (SigLIP's are not CLIP's)."""
    path = folder / "preprocessor_config.json"
    if path.exists():
        config = json.loads(path.read_text(encoding="utf-8"))
        for name in ("mean", "std"):
            values = config.get(f"image_{name}")
            if values is not None:
                getattr(model, name).copy_(torch.tensor(values).view(1, 3, 1, 1))
    return model
