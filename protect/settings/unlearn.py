"""How a trained model is made to forget: training, and the weights of each loss; no torch."""

from dataclasses import dataclass, fields

from protect.settings.base import PRECISIONS, among_choices, knob, positive

UNLEARN_METHODS = (
    *("cliperase", "ac", "hac", "hac_reg", "safeclip", "saferclip", "hysac", "ccu", "ccup"),
    *("refresh", "level", "npo"),
    *("retrain", "finetune", "ga", "graddiff", "kl", "enmn", "l1_sparse"),
)
GEOMETRIES = ("auto", "sphere", "meru", "hycoclip")
CONSISTENCY = ("batch", "coordinates")


@dataclass(frozen=True)
class UnlearnSettings:
    """How a trained model is made to forget; the same for every method but `retrain`, which starts anew."""

    method: str = knob("cliperase", "how to forget; the last seven are baselines", UNLEARN_METHODS)
    geometry: str = knob(
        "auto", "of the embeddings: sphere (CLIP), meru or hycoclip (hyperbolic); auto: the weights'", GEOMETRIES
    )
    steps: int = knob(300, "optimiser steps")
    epochs: int = knob(15, "retrain only: passes over the retain pairs")
    batch: int = knob(64, "forget pairs, and as many retain pairs, in a batch")
    step_size: float = knob(1e-4, "AdamW's peak learning rate")
    fresh_step_size: float = knob(1e-3, "retrain only: AdamW's peak learning rate")
    weight_decay: float = knob(0.01, "AdamW's, on matrices only")
    lora: bool = knob(False, "train low-rank additions only (needs peft), folded into the weights at the end")
    rank: int = knob(16, "rank of these additions")
    size: int | None = knob(None, "side in pixels of the pictures the model takes", unset="the model's own")
    limit: int | None = knob(None, "pairs to read from each source", unset="all")
    relearn: int | None = knob(32, "with --retrained: steps to learn the forgotten pairs again", unset="no test")
    relearn_step_size: float = knob(1e-4, "with --retrained: learning rate while the forget pairs are learned again")
    keep_every: int = knob(100, "steps between two checkpoints")
    seed: int = knob(0, "one seed for everything")
    precision: str = knob(
        "auto", "number format of the model; auto takes bf16 where this machine computes it faster", PRECISIONS
    )
    device: str = knob("auto", "auto, cpu, cuda, cuda:N or mps")

    def __post_init__(self) -> None:
        among_choices(self)
        positive(self, "steps", "epochs", "step_size", "fresh_step_size", "rank", "keep_every", "size", "limit")
        positive(self, "relearn", "relearn_step_size")
        if self.batch < 2:
            raise ValueError(f"batch: expected at least 2 pairs (the loss contrasts them), got {self.batch}")
        if self.weight_decay < 0:
            raise ValueError(f"weight_decay: expected 0 or more, got {self.weight_decay}")


@dataclass(frozen=True)
class ForgetSettings:
    """Weights of the terms of the unlearning losses; the names of methods in brackets."""

    rehearse: float = knob(1.0, "[cliperase] lambda 1, contrastive loss of the retain pairs")
    erase: float = knob(3.0, "[cliperase] lambda 2, cosine of the forget pairs")
    consist: float = knob(3.0, "[cliperase] lambda 3, distance of the retain outputs from the original's")
    consistency: str = knob(
        "batch",
        "[cliperase] outputs compared: similarities in the batch, or each embedding's coordinates",
        CONSISTENCY,
    )
    wrong: float = knob(0.75, "[ac hac hac_reg] alpha, similarity of wrong forget pairs")
    right: float = knob(0.5, "[ac hac hac_reg] beta, similarity of the true forget pairs")
    spread: float = knob(0.75, "[ac hac hac_reg] gamma, uniformity of the forget pairs")
    calibrate: float | None = knob(None, "[ac hac hac_reg] weight of all three", unset="forget pairs / retain pairs")
    hold: float = knob(0.2, "[hac hac_reg] retain images inside their caption's cone")
    expel: float = knob(0.2, "[hac hac_reg] forget images outside of it")
    norm: float = knob(0.01, "[hac_reg] distance of the forget pairs from the origin")
    aperture: float = knob(1.0, "[hac hac_reg hysac] scale of the entailment cones")
    order: float = knob(1.0, "[hysac] weight of the entailment terms beside the contrastive ones")
    preserve: float = knob(1.0, "[safeclip saferclip hysac] weight of keeping the safe pairs, 1 in the papers")
    rivals: bool = knob(
        False, "[safeclip saferclip] unsafe items as they are now are wrong answers too, not so in the papers"
    )
    project: float = knob(1.0, "[ccup] share of the classes' directions that is taken out")
    keep: float = knob(1.0, "[ccu] outputs of the other modality, and retain images, as they were")
    balance: float = knob(0.5, "[ccu] every class named equally often for the forget images")
    separate: float = knob(1.0, "[ccu] retain classes apart from each other and from the forget set")
    raise_by: float | None = knob(
        None, "[level] loss added to each forget pair, in nats", unset="what unseen pairs have more, by --forget-test"
    )
    lift: float = knob(1.0, "[level] weight of the forget pairs' loss reaching its level")
    steady: float = knob(20.0, "[level] retain embeddings as they were")
    bound: float = knob(0.5, "[npo] beta, how soon the ascent of a forget pair fades")
    repel: float = knob(1.0, "[npo] weight of the ascent beside the retain pairs' loss")
    sparse: float = knob(1e-5, "[l1_sparse] sum of all weights' magnitudes")
    floor: float = knob(1.0, "[ga graddiff kl] how far above chance a forget pair's loss is driven, in nats")
    impair: float = knob(0.5, "[enmn] share of the steps that train on the error-maximising images")

    def __post_init__(self) -> None:
        among_choices(self)
        for f in fields(self):
            value = getattr(self, f.name)
            if isinstance(value, float) and value < 0:
                raise ValueError(f"{f.name}: expected 0 or more, got {value}")
        for name in ("impair", "project"):
            if getattr(self, name) > 1:
                raise ValueError(f"{name}: expected a share, 0 to 1, got {getattr(self, name)}")
