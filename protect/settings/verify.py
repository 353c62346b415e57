"""Every knob of the tool, with its default, unit and help; imports no torch, so that `--help` stays fast."""

import re
from dataclasses import dataclass

from protect.settings.base import among_choices, knob, positive

AUGMENTS = ("openclip", "none", "strong", "randaugment")
REQUIREMENT = re.compile(r"\s*gain\s*(<=|<)\s*([0-9]+(?:[.][0-9]*)?|[.][0-9]+)\s*(%?)\s*")


@dataclass(frozen=True)
class VerifySettings:
    """How the attacker trains and how he is judged; the same for every arm."""

    attackers: tuple[str, ...] = knob(
        ("tiny-resnet", "tiny-vit"),
        "models to train: tiny-resnet, tiny-vit, tiny-hf, open_clip names, Hugging Face folders",
    )
    epochs: int = knob(10, "passes over the training pairs, judged after each")
    seeds: int = knob(1, "runs of every arm, each from another seed")
    batch: int = knob(128, "pairs in a batch")
    learning_rate: float = knob(1e-3, "peak of the one-cycle schedule")
    weight_decay: float = knob(0.2, "AdamW's, on matrices only")
    limit: int = knob(0, "training pairs to read from each arm (0: all)")
    size: int = knob(0, "training resolution in pixels (0: the model's own)")
    augment: str = knob("openclip", "the attacker's training transform, in every arm", AUGMENTS)
    pretrained: str = knob(
        "", "weights that attackers start from: an open_clip tag or a checkpoint (none: from scratch)"
    )
    countermeasures: tuple[str, ...] = knob(
        ("standard",), "what the attacker tries: standard, all, none or names; clean:NAME does it to clean files"
    )
    clip: str = knob("", "weights for the row clip-score: MODEL:WEIGHTS of open_clip or a Hugging Face folder")
    vae: str = knob("", "weights for the row vae: a TorchScript file, picture to picture")
    mix: tuple[float, ...] = knob((0.5,), "protected shares of a training set that is clean otherwise")
    require: str = knob("", "exit with 1 unless the weakest row keeps to it, as in gain<=0.2")
    budget: float = knob(0.0, "minutes to fit the whole comparison into, by leaving out optional parts (0: all)")
    jobs: int = knob(0, "trainings at a time, one core each (0: one for every core)")
    device: str = knob("auto", "auto, cpu, cuda, cuda:N or mps")

    def __post_init__(self) -> None:
        among_choices(self)
        positive(self, "epochs", "seeds", "learning_rate")
        if self.batch < 2:
            raise ValueError(f"batch: expected at least 2 pairs (the loss contrasts them), got {self.batch}")
        if min(self.weight_decay, self.limit, self.size) < 0:
            raise ValueError(
                "weight_decay, limit and size: expected 0 or more, "
                f"got {self.weight_decay}, {self.limit} and {self.size}"
            )
        if not self.attackers or len(set(self.attackers)) < len(self.attackers):
            found = ", ".join(self.attackers) or "none"
            raise ValueError(f"attackers: expected models, each once, got {found}")
        if not all(0 < share <= 1 for share in self.mix):
            raise ValueError(f"mix: expected shares above 0 and up to 1, got {', '.join(map(str, self.mix))}")
        if min(self.budget, self.jobs) < 0:
            raise ValueError(f"budget and jobs: expected 0 or more, got {self.budget} and {self.jobs}")
        if self.require:
            requirement(self.require)


def requirement(text: str) -> tuple[str, float]:
    """Comparison and number of `--require`; raises ValueError for what is neither gain<=0.2 nor gain<20%."""
    match = REQUIREMENT.fullmatch(text)
    if match is None:
        raise ValueError(f"require: expected gain<= and a share, as in gain<=0.2 or gain<=20%, got {text!r}")
    return match[1], float(match[2]) / (100 if match[3] else 1)
