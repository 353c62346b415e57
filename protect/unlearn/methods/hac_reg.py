"""HAC-reg: HAC that also draws the forget pairs to the origin, where every concept is the same.

The Lorentz norm of a point on the hyperboloid is constant, so the norm meant is that of its space part.
"""

from jaxtyping import Float
from torch import Tensor

from protect.settings.unlearn import ForgetSettings
from protect.unlearn.methods import hac
from protect.unlearn.step import Step


def loss(step: Step, settings: ForgetSettings) -> Float[Tensor, ""]:
    norms = step.forget.images.norm(dim=-1) + step.forget.texts.norm(dim=-1)
    return hac.loss(step, settings) + settings.norm * norms.mean()
