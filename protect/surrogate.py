"""CLIPs behind one face: images and tokens in, unit features out; normalisation, device and precision inside."""

import time
from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager
from functools import cache, lru_cache, partial
from itertools import pairwise
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from protect.clip_import import open_clip
from protect.types import Features, Images, Tokens

MEAN = (0.48145466, 0.4578275, 0.40821073)  # CLIP's own, for images in [0, 1]
STD = (0.26862954, 0.26130258, 0.27577711)
SCALE_LIMIT = 100.0
AUTO = {"cpu": ("tiny-resnet", "tiny-vit"), "gpu": ("RN50", "ViT-B-32")}
TEXTS_KEPT = 1 << 16  # tokenised captions kept at most: the same ones return at every step of a fit

_TINY_TEXT = {"context_length": 77, "vocab_size": 49408, "width": 128, "heads": 2, "layers": 2}
TINY: dict[str, dict[str, Any]] = {
    "tiny-resnet": {
        "embed_dim": 128,
        "vision_cfg": {"layers": [1, 1, 1, 1], "width": 16, "image_size": 64},
        "text_cfg": _TINY_TEXT,
    },
    "tiny-vit": {
        "embed_dim": 128,
        "vision_cfg": {"layers": 3, "width": 96, "head_width": 32, "patch_size": 8, "image_size": 64},
        "text_cfg": _TINY_TEXT,
    },
}


class ConvStem(nn.Sequential):
    """Patch embedding by three strided convolutions: a small ViT learns far sooner with it (Xiao et al. 2021)."""

    def __init__(self, width: int, patch: int) -> None:
        if patch != 8:
            raise ValueError(f"patch size: expected 8 (three halvings), got {patch}")
        widths = (3, width // 4, width // 2, width)
        layers: list[nn.Module] = []
        for before, after in pairwise(widths):
            layers += [
                nn.Conv2d(before, after, 3, stride=2, padding=1, bias=False),
                nn.BatchNorm2d(after),
                nn.ReLU(),
            ]
        super().__init__(*layers, nn.Conv2d(width, width, 1, bias=False))


class Surrogate(nn.Module):
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
        raise NotImplementedError

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


class OpenClip(Surrogate):
    """A CLIP of open_clip, or one of the tiny ones built from its parts."""

    def __init__(self, name: str, device: torch.device, pretrained: str = "", size: int = 0) -> None:
        super().__init__(name, device)
        self.model = _open_clip_model(name, pretrained, size)
        module = open_clip()
        known = name if module.get_model_config(name) is not None else "ViT-B-32"
        self.tokenizer = module.get_tokenizer(known, context_length=77)
        self._encode = lru_cache(TEXTS_KEPT)(partial(_ids, self.tokenizer))  # without self: no cycle keeps it alive
        if not hasattr(self.tokenizer, "eot_token_id"):
            raise ValueError(f"surrogate {name}: expected CLIP's own tokenizer; give a Hugging Face folder instead")
        image_size = self.model.visual.image_size
        self.size = image_size[0] if isinstance(image_size, tuple) else image_size
        if getattr(self._text, "cls_emb", None) is not None:
            raise ValueError(f"surrogate {name}: expected a CLIP whose text ends in its end token; CoCa is none")
        self.context = self._text.context_length
        self.start_token, self.end_token = self.tokenizer.sot_token_id, self.tokenizer.eot_token_id
        self.to(device).to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    @property
    def logit_scale(self) -> Tensor:
        return self.model.logit_scale

    @property
    def embedding_table(self) -> Tensor:
        return self._text.token_embedding.weight

    def encode(self, caption: str) -> tuple[int, ...]:
        return self._encode(caption)

    def rows(self, captions: Iterable[tuple[int, ...]]) -> Tokens:
        rows = token_rows(captions, self.start_token, self.end_token, 0, self.context)
        if self._text.attn_mask is None:  # every token sees the padding: its length matters
            rows = F.pad(rows, (0, self.context - rows.shape[1]))
        return rows.to(self.device)

    @property
    def _text(self) -> Any:
        return getattr(self.model, "text", self.model)

    def _image_tower(self, x: Tensor) -> Tensor:
        return self.model.encode_image(x)

    def _text_tower(self, embeddings: Tensor, tokens: Tensor) -> Tensor:
        text, length = self._text, tokens.shape[1]
        mask = None if text.attn_mask is None else text.attn_mask[:length, :length]
        x = text.transformer(embeddings + text.positional_embedding[:length], attn_mask=mask)
        end = tokens.argmax(dim=-1)[:, None, None].expand(-1, 1, x.shape[-1])
        x = text.ln_final(x).gather(1, end).squeeze(1)
        projection = text.text_projection
        return projection(x) if isinstance(projection, nn.Linear) else x @ projection


class HuggingFace(Surrogate):
    """A CLIP of transformers, from a local folder with its tokenizer."""

    def __init__(self, folder: Path, device: torch.device) -> None:
        open_clip()  # transformers imports torchvision, which may need clip_import's help
        from transformers import AutoModel, AutoTokenizer

        super().__init__(str(folder), device)
        try:
            self.model = AutoModel.from_pretrained(folder, local_files_only=True).float()
            self.tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
            self.size = self.model.config.vision_config.image_size
        except (OSError, ValueError, AttributeError) as error:
            found = " ".join(str(error).split())
            raise ValueError(f"surrogate {folder}: expected a saved CLIP model and tokenizer, got {found}") from error
        self.context = self.model.config.text_config.max_position_embeddings
        special = self.tokenizer("").input_ids
        self.start_token, self.end_token = (special[0] if len(special) > 1 else None), special[-1]
        self.to(device).to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    @property
    def logit_scale(self) -> Tensor:
        return self.model.logit_scale

    @property
    def embedding_table(self) -> Tensor:
        return self.model.text_model.get_input_embeddings().weight

    def encode(self, caption: str) -> tuple[int, ...]:
        return tuple(self.tokenizer(caption, add_special_tokens=False).input_ids)

    def rows(self, captions: Iterable[tuple[int, ...]]) -> Tokens:
        padding = self.tokenizer.pad_token_id
        padding = self.end_token if padding is None else padding
        return token_rows(captions, self.start_token, self.end_token, padding, self.context).to(self.device)

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


def _ids(tokenizer: Any, caption: str) -> tuple[int, ...]:
    return tuple(tokenizer.encode(caption))


def load_surrogate(name: str, device: torch.device, pretrained: str = "", size: int = 0, seed: int = 0) -> Surrogate:
    """A surrogate by name, randomly initialised from `seed` unless weights are named.

    name: tiny-resnet, tiny-vit, an open_clip model, a Hugging Face folder, or auto (the first of AUTO).
    Raises ValueError for names and weights that do not exist.
    """
    name = families([name], device)[0]
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        torch.manual_seed(seed)
        if Path(name).is_dir():
            return HuggingFace(Path(name), device)
        return OpenClip(name, device, pretrained, size)


def _open_clip_model(name: str, pretrained: str, size: int) -> Any:
    _check_size(name, size)
    try:
        if name in TINY:
            return _tiny_model(name, pretrained, size)
        return open_clip().create_model(name, pretrained=pretrained or None, force_image_size=size or None)
    except Exception as error:  # a file that holds no weights fails in many ways: pickle's, zip's, safetensors' ...
        if not pretrained:
            raise
        found = f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"
        raise ValueError(f"surrogate {name}: expected its weights in {pretrained!r}, got {found}") from error


def _tiny_model(name: str, pretrained: str, size: int) -> Any:
    config = TINY[name]
    vision = config["vision_cfg"] | ({"image_size": size} if size else {})
    model = open_clip().CLIP(**(config | {"vision_cfg": vision}))
    if name == "tiny-vit":
        model.visual.conv1 = ConvStem(vision["width"], vision["patch_size"])
    if pretrained:
        open_clip().load_checkpoint(model, pretrained)
    return model


def _check_size(name: str, size: int) -> None:
    """ResNets halve an image five times and the tiny ViT's stem three times; ValueError where a rest would stay."""
    resnet = isinstance(_vision_config(name).get("layers"), list)
    step = 32 if resnet else 8 if name in TINY else 1
    if size < 0 or size % step:
        raise ValueError(f"size: expected a multiple of {step} for {name}, got {size}")


def _vision_config(name: str) -> dict[str, Any]:
    if name in TINY:
        return TINY[name]["vision_cfg"]
    _check_known(name)
    return open_clip().get_model_config(name)["vision_cfg"]


def token_rows(
    captions: Iterable[tuple[int, ...]], start: int | None, end: int, padding: int, context: int
) -> Tokens:
    """Rows of token ids, each start + caption + end, captions cut so that the end token always stays."""
    first = [] if start is None else [start]
    rows = [[*first, *caption[: context - 1 - len(first)], end] for caption in captions]
    length = max(map(len, rows))
    return torch.tensor([row + [padding] * (length - len(row)) for row in rows])


def choose_device(name: str) -> torch.device:
    """The device for a `--device` value; raises ValueError when this machine does not have it."""
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"
    try:
        device = torch.device(name)
        torch.zeros(1, device=device)
    except (RuntimeError, AssertionError) as error:
        raise ValueError(f"device: expected auto, cpu, cuda, cuda:N or mps on this machine, got {name!r}") from error
    return device


@cache
def autocast_type(device: torch.device) -> torch.dtype | None:
    """bf16 where a matrix product is at least 1.5 times faster in it than in fp32, else None; takes milliseconds."""

    def seconds(kind: torch.dtype) -> float:
        a = torch.ones(256, 256, dtype=kind, device=device)
        best = float("inf")
        for _ in range(3):
            begin = time.perf_counter()
            (a @ a).sum().item()
            best = min(best, time.perf_counter() - begin)
        return best

    return torch.bfloat16 if seconds(torch.bfloat16) * 1.5 < seconds(torch.float32) else None


def optimizer(model: nn.Module, learning_rate: float, weight_decay: float) -> torch.optim.Optimizer:
    """AdamW that decays matrices only: no norms, biases or the logit scale."""
    matrices = [p for p in model.parameters() if p.ndim > 1]
    others = [p for p in model.parameters() if p.ndim <= 1]
    groups = [{"params": matrices, "weight_decay": weight_decay}, {"params": others, "weight_decay": 0.0}]
    return torch.optim.AdamW(groups, lr=learning_rate, fused=True)


def image_size(names: Sequence[str], device: torch.device, size: int) -> int:
    """Side of the views that all of these surrogates take; ValueError when they differ and `size` does not say."""
    if size:
        return size
    sizes = {name: _own_size(name) for name in families(names, device)}
    if len(set(sizes.values())) > 1:
        raise ValueError(f"size: expected one for all surrogates, got {sizes}; say --size")
    return next(iter(sizes.values()))


def _own_size(name: str) -> int:
    if Path(name).is_dir():
        return HuggingFace(Path(name), torch.device("cpu")).size
    size = _vision_config(name)["image_size"]
    return max(size) if isinstance(size, list | tuple) else size


def families(names: Sequence[str], device: torch.device) -> tuple[str, ...]:
    """The surrogates by name: auto stands for one of each family, full-size on a GPU, tiny on a CPU."""
    auto = AUTO["cpu" if device.type == "cpu" else "gpu"]
    return tuple(known for name in names for known in (auto if name == "auto" else (name,)))


def _check_known(name: str) -> None:
    if open_clip().get_model_config(name) is None:
        known = ", ".join([*TINY, "RN50", "RN101", "ViT-B-32", "ViT-B-16"])
        raise ValueError(
            f"surrogate: expected an open_clip name ({known}, ...) or a Hugging Face folder, got {name!r}"
        )
