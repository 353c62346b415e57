"""What is made to forget: two towers and the geometry of their embeddings, from and to the library's own files."""

import hashlib
import json
import shutil
from collections.abc import Sequence
from pathlib import Path

import torch
import torch.nn.functional as F
from jaxtyping import Float
from safetensors.torch import save_file
from torch import Tensor, nn

from protect.files import write_whole
from protect.surrogate import HuggingFace, Surrogate, load_surrogate
from protect.types import Features, Images

WEIGHTS = "open_clip_model.safetensors"
HEAD = "head.json"


class Clip(nn.Module):
    """CLIP: embeddings of unit length, compared by their cosine."""

    geometry = "sphere"

    def __init__(self, towers: Surrogate) -> None:
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


def load_model(
    name: str,
    weights: str,
    device: torch.device,
    geometry: str = "auto",
    size: int = 0,
    seed: int = 0,
    scratch: bool = False,
) -> Clip:
    """A model by name: an open_clip one (or tiny-resnet, tiny-vit) with its `weights`, or a Hugging Face folder.

    weights: an open_clip tag, a checkpoint, a folder that `save_model` wrote, or "" for a random model from
    `seed` (for a folder, from `scratch`). geometry: sphere, meru, hycoclip, or auto for
    what stands beside the weights (else sphere).
    Raises ValueError for names and weights that do not exist.
    """
    from protect.unlearn.hyperbolic import HyCoClip, Meru

    place = _place(name, weights)
    file = place / WEIGHTS if place is not None and Path(weights) == place else None
    pretrained = str(file) if file is not None and file.is_file() else weights
    towers = load_surrogate(name, device, pretrained, size, seed, scratch)
    saved_head = place is not None and not scratch and (place / HEAD).is_file()
    head = json.loads((place / HEAD).read_text()) if place is not None and saved_head else {}
    kinds: dict[str, type[Clip]] = {kind.geometry: kind for kind in (Clip, Meru, HyCoClip)}
    saved = head.pop("geometry", "sphere")
    kind = kinds[saved if geometry == "auto" else geometry]
    return (Clip(towers) if kind is Clip else kind(towers, **head)).to(device)


def _place(name: str, weights: str) -> Path | None:
    """The folder that weights come from; None when they come from no file."""
    if Path(name).is_dir():
        return Path(name)
    if not weights or not Path(weights).exists():
        return None
    return Path(weights) if Path(weights).is_dir() else Path(weights).parent


def check_trained(name: str, weights: str) -> None:
    """ValueError where a model's weights would be random ones."""
    if not weights and not Path(name).is_dir():
        raise ValueError(
            f"weights: expected those of a trained {name}, got none; give a checkpoint (--weights), or train one "
            "with method retrain"
        )


def save_model(model: Clip, out: Path, source: str = "") -> Path:
    """Writes the model as its library reads it again; `source` is the Hugging Face folder it came from.

    Returns what to hand to that library: the folder for transformers, the file for open_clip.
    """
    out.mkdir(parents=True, exist_ok=True)
    towers = model.towers
    if isinstance(towers, HuggingFace):
        towers.model.save_pretrained(out)
        towers.tokenizer.save_pretrained(out)
        if (Path(source) / "preprocessor_config.json").is_file():
            shutil.copy(Path(source) / "preprocessor_config.json", out)
    else:
        weights = {name: value.detach().cpu().contiguous() for name, value in towers.model.state_dict().items()}
        part = out / f"{WEIGHTS}.part"
        save_file(weights, part)
        part.replace(out / WEIGHTS)
    if head := model.head():
        write_whole(out / HEAD, json.dumps({"geometry": model.geometry, **head}, indent=1).encode())
    return out if isinstance(towers, HuggingFace) else out / WEIGHTS
