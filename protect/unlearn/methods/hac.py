"""Hyperbolic Alignment Calibration (Vidal et al., CVPRW 2025): AC by Lorentz distance, and entailment cones.

L = L_AC + w_r L_r-ent + w_f L_f-ent: retained images stay inside the cone of their caption, forgotten ones leave it.
"""

from jaxtyping import Float
from torch import Tensor

from protect.settings.unlearn import ForgetSettings
from protect.unlearn import lorentz
from protect.unlearn.hyperbolic_heads import Meru
from protect.unlearn.methods import ac
from protect.unlearn.step import Part, Step


def loss(step: Step, settings: ForgetSettings) -> Float[Tensor, ""]:
    hold = outside(step, step.retain, settings.aperture).clamp(min=0).mean()
    expel = (-outside(step, step.forget, settings.aperture)).clamp(min=0).mean()
    return ac.loss(step, settings) + settings.hold * hold + settings.expel * expel


def outside(step: Step, part: Part, aperture: float) -> Float[Tensor, " batch"]:
    """Angle by which images lie outside their caption's cone."""
    student = step.student
    assert isinstance(student, Meru)
    return lorentz.outside(part.texts, part.images, student.curvature, aperture)
