"""Load the model that is to forget, and save it in its library's own format."""

import json
import shutil
from pathlib import Path

import torch
from safetensors.torch import save_file

from protect.clip.models import HuggingFace, load_encoder
from protect.files import write_whole
from protect.unlearn.head import Clip

WEIGHTS = "open_clip_model.safetensors"
HEAD = "head.json"


def load_model(
    name: str,
    weights: str | None,
    device: torch.device,
    geometry: str = "auto",
    size: int | None = None,
    seed: int = 0,
    scratch: bool = False,
) -> Clip:
    """A model by name: an open_clip one (or tiny-resnet, tiny-vit) with its `weights`, or a Hugging Face folder.

    weights: an open_clip tag, a checkpoint, a folder that `save_model` wrote, or None for a random model from
    `seed` (for a folder, from `scratch`). geometry: sphere, meru, hycoclip, or auto for
    what stands beside the weights (else sphere).
    Raises ValueError for names and weights that do not exist.
    """
    from protect.unlearn.hyperbolic_heads import HyCoClip, Meru

    place = _place(name, weights)
    file = place / WEIGHTS if place is not None and weights and Path(weights) == place else None
    pretrained = str(file) if file is not None and file.is_file() else weights
    towers = load_encoder(name, device, pretrained, size, seed, scratch)
    saved_head = place is not None and not scratch and (place / HEAD).is_file()
    head = json.loads((place / HEAD).read_text()) if place is not None and saved_head else {}
    kinds: dict[str, type[Clip]] = {kind.geometry: kind for kind in (Clip, Meru, HyCoClip)}
    saved = head.pop("geometry", "sphere")
    kind = kinds[saved if geometry == "auto" else geometry]
    return (Clip(towers) if kind is Clip else kind(towers, **head)).to(device)


def _place(name: str, weights: str | None) -> Path | None:
    """The folder that weights come from; None when they come from no file."""
    if Path(name).is_dir():
        return Path(name)
    if not weights or not Path(weights).exists():
        return None
    return Path(weights) if Path(weights).is_dir() else Path(weights).parent


def check_trained(name: str, weights: str | None) -> None:
    """ValueError where a model's weights would be random ones."""
    if not weights and not Path(name).is_dir():
        raise ValueError(
            f"weights: expected those of a trained {name}, got none; name a checkpoint with --weights, or train "
            "a model with --method retrain"
        )


def save_model(model: Clip, out: Path, source: str | None = None) -> Path:
    """Writes the model as its library reads it again; `source` is the Hugging Face folder it came from.

    Returns what to hand to that library: the folder for transformers, the file for open_clip.
    """
    out.mkdir(parents=True, exist_ok=True)
    towers = model.towers
    if isinstance(towers, HuggingFace):
        towers.model.save_pretrained(out)
        towers.tokenizer.save_pretrained(out)
        if source and (Path(source) / "preprocessor_config.json").is_file():
            shutil.copy(Path(source) / "preprocessor_config.json", out)
    else:
        weights = {name: value.detach().cpu().contiguous() for name, value in towers.model.state_dict().items()}
        part = out / f"{WEIGHTS}.part"
        save_file(weights, part)
        part.replace(out / WEIGHTS)
    if head := model.head():
        write_whole(out / HEAD, json.dumps({"geometry": model.geometry, **head}, indent=1).encode())
    return out if isinstance(towers, HuggingFace) else out / WEIGHTS
