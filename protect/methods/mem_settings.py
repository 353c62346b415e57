"""What can be set of error minimisation: EM's rounds, and MEM's words on top; no torch, so that help stays fast."""

from dataclasses import dataclass

from protect.methods.instant_settings import ATTRIBUTES
from protect.settings.base import among_choices, knob, positive
from protect.settings.recipe import TriggerSettings

STARTS = ("instant", "drawn")


@dataclass(frozen=True)
class ErrorMinSettings:
    """Rounds of surrogate steps and noise steps, and what is done for pairs that the fit has not seen."""

    rounds: int = knob(8, "rounds of surrogate steps, word steps and noise steps")
    surrogate_steps: int = knob(50, "batches the surrogate learns from in each round")
    steps: int = knob(8, "noise steps for each batch in a round")
    step_size: float = knob(1.0, "length of a noise step, on the scale of 0 to 255")
    eot: tuple[str, ...] = knob(
        (), "transformations drawn anew at each step, so that noise survives them: crop, zoom, jitter, jpeg, gray"
    )
    reinit_every: int | None = knob(
        None, "rounds after which the surrogate starts again; several surrogates then take turns", unset="never"
    )
    budget: float | None = knob(
        None,
        "minutes that the fit may take: it ends with the last round that fits, so what is written depends on the "
        "machine; protect shards --dry-run says how many rounds that is",
        unset="all rounds",
    )
    phase2_steps: int = knob(32, "noise steps for a picture that the fit has not seen")
    learning_rate: float = knob(1e-3, "the surrogate's learning rate (AdamW, constant)")
    weight_decay: float = knob(0.2, "the surrogate's weight decay, on matrices only")

    def __post_init__(self) -> None:
        positive(
            self, "rounds", "surrogate_steps", "steps", "step_size", "reinit_every", "budget", "phase2_steps",
            "learning_rate",
        )  # fmt: skip
        if self.weight_decay < 0:
            raise ValueError(f"weight_decay: expected 0 or more, got {self.weight_decay}")


@dataclass(frozen=True)
class MemSettings(ErrorMinSettings):
    """MEM's word steps beside the rounds of error minimisation."""

    start: str = knob(
        "instant",
        "what words and noise start from: those of the method instant, or, as published, drawn words and no noise",
        STARTS,
    )
    text_rounds: int = knob(2, "rounds, from the first, in which words are searched")
    candidates: int = knob(16, "words tried at each position")

    def __post_init__(self) -> None:
        super().__post_init__()
        among_choices(self)
        positive(self, "candidates")
        if self.text_rounds < 0:
            raise ValueError(f"text_rounds: expected 0 or more, got {self.text_rounds}")

    def check(self, trigger: TriggerSettings) -> None:
        """Raise ValueError for a style whose words no word step can move."""
        if trigger.trigger_style == "both":
            raise ValueError("trigger_style: expected prefix, suffix or hashtags with mem, got both; its words move")
        words, levels = trigger.trigger_words or 0, trigger.alphabet
        if self.start == "instant" and (words > ATTRIBUTES or levels is None):
            raise ValueError(
                f"start: expected at most {ATTRIBUTES} words and an alphabet with start=instant, which has a word "
                f"for each level of an attribute; got {words} words and an alphabet of {levels or 'none'}; "
                "use start=drawn"
            )
