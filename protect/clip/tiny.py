"""tiny-resnet and tiny-vit: the small models that train in minutes on a CPU."""

from itertools import pairwise
from typing import Any

from torch import nn

from protect.clip.open_clip_import import open_clip

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


def _tiny_model(name: str, pretrained: str | None, size: int | None) -> Any:
    config = TINY[name]
    vision = config["vision_cfg"] | ({"image_size": size} if size else {})
    model = open_clip().CLIP(**(config | {"vision_cfg": vision}))
    if name == "tiny-vit":
        model.visual.conv1 = ConvStem(vision["width"], vision["patch_size"])
    if pretrained:
        open_clip().load_checkpoint(model, pretrained)
    return model
