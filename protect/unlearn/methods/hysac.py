"""HySAC (Poppi et al., CVPR 2025): unsafe knowledge is not erased but put in order, furthest from the origin.

The order, from general to special: safe text, safe image, unsafe text, unsafe image. Forget pairs are the unsafe
ones (I*, T*), retain pairs their safe twins (I, T), row by row. At use a query that lies too far out is moved back
along its ray: `safe_traversal`. Ours: `preserve`, the weight of the safe pairs' own contrast.
"""

import math

import torch
from jaxtyping import Float
from torch import Tensor

from protect.settings.unlearn import ForgetSettings
from protect.types import Features
from protect.unlearn import lorentz
from protect.unlearn.head import contrast
from protect.unlearn.hyperbolic_heads import Meru
from protect.unlearn.step import Step

SHIFT = 0.8  # the paper's a


def loss(step: Step, settings: ForgetSettings) -> Float[Tensor, ""]:
    student, safe, unsafe = step.student, step.retain, step.forget
    assert isinstance(student, Meru)
    ways = ((safe, safe), (unsafe, unsafe), (unsafe, safe), (safe, unsafe))
    weights = (settings.preserve, 1, 1, 1)
    contrasts = [
        weight * contrast(student.logits(images.images, texts.texts))
        for weight, (images, texts) in zip(weights, ways, strict=True)
    ]
    contained = ((safe.texts, safe.images), (unsafe.texts, unsafe.images), (safe.images, unsafe.texts))
    cones = [student.entailment(general, special, settings.aperture) for general, special in contained]
    total = torch.stack(contrasts).sum() + settings.order * torch.stack(cones).sum()
    return total / (sum(weights) + settings.order * len(cones))


def safe_traversal(points: Features, limit: float, student: Meru) -> Features:
    """Points further from the origin than `limit` (a geodesic distance) are moved to it along their rays."""
    c = student.curvature
    distance = lorentz.radius(points, c)
    moved = lorentz.at_radius(points, torch.full_like(distance, limit), c)
    return torch.where((distance > limit)[:, None], moved, points)


def paper_limit(safe_distances: Float[Tensor, " points"], curvature: float) -> float:
    """The paper's tau, mu + tanh((mu - a)/c) + 1, from the distances of safe embeddings of the query's modality."""
    mean = float(safe_distances.mean())
    return mean + math.tanh((mean - SHIFT) / curvature) + 1
