"""What can be set of the method instant; no torch, so that help stays fast."""

from dataclasses import dataclass

from protect.settings.base import among_choices, knob, positive
from protect.settings.recipe import TriggerSettings

WORDINGS = ("plain", "drawn")
NOISES = ("auto", "colours", "texture")
ATTRIBUTE_WORDS = 4  # planted in a caption, unless asked otherwise
ATTRIBUTES, ATTRIBUTE_LEVELS = 6, 8  # image attributes that words can name, and plain words for each
COUNTED = 8192  # pairs whose captions and colours are measured


@dataclass(frozen=True)
class InstantSettings:
    """Attribute words for the caption, and sub-bands for its keywords."""

    wording: str = knob(
        "plain",
        "attribute words: plain English that is true of the picture (azure, dim), or drawn from the seed",
        WORDINGS,
    )
    noise_in: str = knob(
        "auto",
        "what the noise changes: coarse colours, against what captions predict, or fine texture, by keyword; "
        "auto takes colours where captions are free and texture where they repeat a few keywords",
        NOISES,
    )
    keywords: int = knob(4, "keywords of a caption that are written into the picture's texture, at most")
    amplify: float = knob(2.0, "amplitude added to the sub-band of a keyword before clipping, in epsilons")
    attenuate: float = knob(0.7, "share of all other sub-bands that is taken away")

    def __post_init__(self) -> None:
        among_choices(self)
        positive(self, "keywords", "amplify")
        if not 0 <= self.attenuate <= 1:
            raise ValueError(f"attenuate: expected a share of 0 to 1, got {self.attenuate}")

    def check(self, trigger: TriggerSettings) -> None:
        """Raise ValueError where there are not as many attributes, or words for one, as asked for."""
        words, levels = trigger.trigger_words or 0, trigger.alphabet
        if words > ATTRIBUTES:
            raise ValueError(f"trigger_words: expected at most {ATTRIBUTES}, the number of attributes, got {words}")
        if levels is None or (self.wording == "plain" and not 2 <= levels <= ATTRIBUTE_LEVELS):
            raise ValueError(
                f"alphabet: expected 2 to {ATTRIBUTE_LEVELS} plain words for an attribute, got {levels or 'none'}; "
                "or use wording=drawn with a number of words"
            )
