"""CCUP (Mishra et al. 2025, arXiv 2512.14137): the classes' text directions are projected out of the image tower.

Closed form, no picture is needed and nothing is trained: the last linear map of the image tower loses the directions
that the texts of the forgotten classes span. What these share with the texts of the other classes stays, so that
those keep their scores (the published form also bounds that damage; its exact step was not seen, this one is ours).
"""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from protect.settings.unlearn import ForgetSettings
from protect.unlearn.head import Clip

LEAST = 1e-3  # share of a direction's length below which it is nothing but rounding


@torch.no_grad()
def edit(
    student: Clip,
    forget: Float[Tensor, "forgotten dim"],
    retain: Float[Tensor, "retained dim"],
    settings: ForgetSettings,
) -> None:
    """Changes the student in place; `forget` and `retain` are text embeddings of the classes, one a row."""
    basis = directions(forget, retain)
    for weight in last_map(student.towers.model):
        weight -= settings.project * weight @ basis.T @ basis


def directions(forget: Float[Tensor, "forgotten dim"], retain: Float[Tensor, "retained dim"]) -> Tensor:
    """Orthonormal directions that the forgotten classes span and the retained ones do not, one a row."""
    kept = orthonormal(retain)
    return orthonormal(forget - forget @ kept.T @ kept)


def orthonormal(rows: Float[Tensor, "rows dim"]) -> Float[Tensor, "rank dim"]:
    """An orthonormal basis of what some rows span."""
    if not len(rows):
        return rows
    _, lengths, basis = torch.linalg.svd(rows.float(), full_matrices=False)
    return basis[lengths > LEAST * max(1.0, lengths.max().item())]


def last_map(model: nn.Module) -> list[Tensor]:
    """The image tower's last linear map as views of its weights, each (..., dim); ValueError where there is none."""
    visual = getattr(model, "visual", model)
    if isinstance(proj := getattr(visual, "proj", None), Tensor):  # open_clip's ViT
        return [proj.data]
    for owner, name in ((getattr(visual, "attnpool", None), "c_proj"), (model, "visual_projection")):
        if isinstance(linear := getattr(owner, name, None), nn.Linear):  # open_clip's ResNet; transformers' CLIP
            return [linear.weight.data.T, *([] if linear.bias is None else [linear.bias.data])]
    raise ValueError("ccup: expected an image tower that ends in a linear map, found none; use another method")
