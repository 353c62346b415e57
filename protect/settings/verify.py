"""Settings of `protect verify`; no torch, so that `--help` stays fast."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from operator import le, lt

from protect.settings.base import PRECISIONS, among_choices, knob, positive

AUGMENTS = ("openclip", "none", "strong", "randaugment")
REQUIREMENT = re.compile(r"\s*gain\s*(<=|<)\s*([0-9]+(?:[.][0-9]*)?|[.][0-9]+)\s*(%?)\s*")


@dataclass(frozen=True)
class VerifySettings:
    """How attackers train and how they are judged; the same for every row."""

    attackers: tuple[str, ...] = knob(
        ("tiny-resnet", "tiny-vit"),
        "models to train: tiny-resnet, tiny-vit, tiny-hf, pretrained-frozen, -lit, -lora, -finetune, open_clip "
        "names, Hugging Face folders",
    )
    epochs: int = knob(10, "passes over the training pairs; attackers are judged after each")
    seeds: int = knob(1, "trainings of every row, each from another seed")
    batch: int = knob(128, "pairs in a batch")
    learning_rate: float = knob(1e-3, "peak of the one-cycle schedule")
    weight_decay: float = knob(0.2, "AdamW's weight decay, on matrices only")
    limit: int | None = knob(None, "train on the first so many pairs only", unset="all")
    size: int | None = knob(None, "training resolution in pixels", unset="the model's own")
    augment: str = knob("openclip", "the attackers' training transform, the same in every row", AUGMENTS)
    pretrained: str | None = knob(
        None, "weights that attackers start from: an open_clip tag or a checkpoint", unset="from scratch"
    )
    countermeasures: tuple[str, ...] = knob(
        ("standard",),
        "what attackers try: standard, all, none or names; clean:NAME applies NAME to clean files, and controls adds "
        "that for each row that changes images, training or the number of captions",
    )
    clip: str | None = knob(
        None,
        "weights for the row clip-score: MODEL:WEIGHTS of open_clip or a Hugging Face folder",
        unset="row left out",
    )
    vae: str | None = knob(
        None, "weights for the row vae: a TorchScript file, picture to picture", unset="row left out"
    )
    recaptions: str | None = knob(
        None,
        "other captions for the same keys, for the row recaptioned: shards or a photo folder",
        unset="row left out",
    )
    captioner: str | None = knob(
        None,
        "model for the row machine-captions: a Hugging Face folder that writes captions of pictures",
        unset="row left out",
    )
    own_pairs: str | None = knob(
        None,
        "for the row adaptive-denoiser: CLEAN=PROTECTED, 1,000 or more pairs that the attacker protected with this "
        "tool and another key",
        unset="row left out",
    )
    mix: tuple[float, ...] = knob((0.5,), "protected shares of training sets that are clean otherwise")
    require: str | None = knob(
        None, "exit with 1 unless the weakest row meets this, for example gain<=0.2", unset="no limit"
    )
    budget: float | None = knob(
        None, "leave out optional rows, seeds and epochs to finish in so many minutes", unset="run all"
    )
    jobs: int | None = knob(None, "trainings at a time, one core each", unset="one for every core")
    precision: str = knob(
        "auto", "number format of attackers; auto takes bf16 where this machine computes it faster", PRECISIONS
    )
    device: str = knob("auto", "auto, cpu, cuda, cuda:N or mps")

    def __post_init__(self) -> None:
        among_choices(self)
        positive(self, "epochs", "seeds", "learning_rate", "limit", "size", "budget", "jobs")
        if self.batch < 2:
            raise ValueError(f"batch: expected at least 2 pairs (the loss contrasts them), got {self.batch}")
        if self.weight_decay < 0:
            raise ValueError(f"weight_decay: expected 0 or more, got {self.weight_decay}")
        if not self.attackers or len(set(self.attackers)) < len(self.attackers):
            given = ", ".join(self.attackers) or "none"
            raise ValueError(f"attackers: expected models, each once, got {given}")
        if not all(0 < share <= 1 for share in self.mix):
            raise ValueError(f"mix: expected shares above 0 and up to 1, got {', '.join(map(str, self.mix))}")
        if self.require is not None:
            requirement(self.require)


def requirement(text: str) -> Callable[[float], bool]:
    """Whether a retained gain meets `--require`; ValueError for text that is not like gain<=0.2 or gain<20%."""
    compare, limit = _parsed(text)
    return lambda retained: compare(retained, limit)


def required_limit(text: str) -> float:
    """The number in `--require`, as a share."""
    return _parsed(text)[1]


def _parsed(text: str) -> tuple[Callable[[float, float], bool], float]:
    match = REQUIREMENT.fullmatch(text)
    if match is None:
        raise ValueError(f"require: expected gain<= and a share, as in gain<=0.2 or gain<=20%, got {text!r}")
    compare = {"<=": le, "<": lt}[match[1]]
    return compare, float(match[2]) / (100 if match[3] else 1)
