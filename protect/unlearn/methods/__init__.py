"""The methods by name: a new one costs one file and one line here."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from protect.settings.unlearn import ForgetSettings
from protect.unlearn.head import Clip
from protect.unlearn.methods import (
    ac,
    ccu,
    ccup,
    cliperase,
    enmn,
    finetune,
    ga,
    graddiff,
    hac,
    hac_reg,
    hysac,
    kl,
    l1_sparse,
    level,
    npo,
    refresh,
    retrain,
    safeclip,
    saferclip,
)
from protect.unlearn.step import Step


@dataclass(frozen=True)
class Method:
    """A loss of one step, or an edit in closed form, and what it needs.

    geometry: "sphere" or "hyperbolic" where the formulas hold in that one only. twins: each forget pair comes
    with its own retain pair. classes: pairs have classes. fresh: starts from random weights, forget pairs unseen.
    prepare: makes `Step.prepared` from the frozen original, see enmn. edit: changes the student at once, without any
    training, from the text embeddings of the forgotten and of the retained classes, see ccup. freeze: leaves only
    those of the student's weights to be trained that should be, see refresh. live_norms: norms use each batch's own
    statistics and learn from them, as in training from scratch: for methods that see retain pairs alone.
    """

    loss: Callable[[Step, ForgetSettings], Tensor] | None = None
    geometry: str = "any"
    twins: bool = False
    classes: bool = False
    fresh: bool = False
    prepare: Callable[..., Any] | None = None
    edit: Callable[..., None] | None = None
    freeze: Callable[[Clip], None] | None = None
    live_norms: bool = False


METHODS: dict[str, Method] = {
    "cliperase": Method(cliperase.loss, geometry="sphere"),
    "ac": Method(ac.loss),
    "hac": Method(hac.loss, geometry="hyperbolic"),
    "hac_reg": Method(hac_reg.loss, geometry="hyperbolic"),
    "safeclip": Method(safeclip.loss, geometry="sphere", twins=True),
    "saferclip": Method(saferclip.loss, geometry="sphere", twins=True),
    "hysac": Method(hysac.loss, geometry="hyperbolic", twins=True),
    "ccu": Method(ccu.loss, geometry="sphere", classes=True),
    "ccup": Method(edit=ccup.edit, geometry="sphere", classes=True),
    "level": Method(level.loss, geometry="sphere", prepare=level.prepare),
    "npo": Method(npo.loss),
    "refresh": Method(refresh.loss, freeze=refresh.freeze, live_norms=True),
    "retrain": Method(retrain.loss, fresh=True, live_norms=True),
    "finetune": Method(finetune.loss),
    "ga": Method(ga.loss),
    "graddiff": Method(graddiff.loss),
    "kl": Method(kl.loss),
    "enmn": Method(enmn.loss, prepare=enmn.prepare),
    "l1_sparse": Method(l1_sparse.loss),
}
