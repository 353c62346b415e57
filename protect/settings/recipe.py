"""What every method is told: on which data it is fitted, which words it may plant, how far a pixel may move."""

from dataclasses import dataclass

from protect.settings.base import PRECISIONS, among_choices, knob, positive

NATURAL = "natural"
STYLES = ("prefix", "suffix", "hashtags", "both", NATURAL)
LANGUAGES = {"en": "English", "de": "Deutsch", "es": "Español", "fr": "Français", "it": "Italiano"}
USUAL_SIZE = 224  # pixels a side of what most CLIPs see


@dataclass(frozen=True)
class FitSettings:
    """Phase 1: the method, the data it is fitted on, the surrogate it is fitted with."""

    method: str = knob("instant", "how pairs are protected")
    surrogate: tuple[str, ...] = knob(
        ("auto",), "models to fit against: tiny-resnet, tiny-vit, open_clip names or Hugging Face CLIP folders"
    )
    pretrained: str | None = knob(
        None, "weights for the surrogate: an open_clip tag or a checkpoint", unset="random weights"
    )
    size: int | None = knob(
        None, "side in pixels of the square pictures that noise is made for",
        unset=f"the surrogate's own; with instant the pictures' own, at most {USUAL_SIZE}",
    )  # fmt: skip
    window: int | None = knob(
        8192,
        "pairs to fit on, at most, or `none` for all; any number of pairs can be protected afterwards",
        unset="all pairs",
    )
    batch: int = knob(128, "pairs in a batch")
    seed: int = knob(0, "seed of all random numbers: same input, same seed, same bytes")
    precision: str = knob(
        "auto", "number format of the surrogate; auto takes bf16 where this machine computes it faster", PRECISIONS
    )

    def __post_init__(self) -> None:
        among_choices(self)
        positive(self, "window", "batch", "size")
        if self.batch < 2:
            raise ValueError(f"batch: expected at least 2 pairs (the loss contrasts them), got {self.batch}")


@dataclass(frozen=True)
class TriggerSettings:
    """Which words are planted, how many, and where in the caption."""

    trigger_words: int | None = knob(
        None,
        "words planted in each caption; 0 leaves captions as they are",
        unset="4 with instant, 3 with mem and random",
    )
    trigger_style: str | None = knob(
        None,
        "where the words go: in front, at the end, as hashtags at the end, or both in front and at the end; natural: "
        "in front, as phrases that a person would post",
        STYLES, unset="natural with instant, prefix with mem and random",
    )  # fmt: skip
    alphabet: int | None = knob(
        8, "words to choose from at each position; `none` is the whole vetted list", unset="the whole vetted list"
    )
    language: str = knob("en", "language of the phrases of trigger_style natural", tuple(LANGUAGES))

    def __post_init__(self) -> None:
        if self.trigger_words is not None and self.trigger_words < 0:
            raise ValueError(f"trigger_words: expected 0 or more, got {self.trigger_words}")
        positive(self, "alphabet")
        among_choices(self)

    @property
    def style(self) -> str:
        """How words are written, language included: what `write_words` takes; a recipe has chosen a style."""
        assert self.trigger_style is not None, "a recipe fills in its method's style"
        return written_style(self.trigger_style, self.language)


def written_style(style: str, language: str) -> str:
    """A style with the language, where it has one: prefix, natural-de."""
    return f"{NATURAL}-{language}" if style == NATURAL else style


@dataclass(frozen=True)
class NoiseSettings:
    """How far a pixel may move."""

    epsilon: float = knob(8.0, "largest change of a pixel value, on the scale of 0 to 255")

    def __post_init__(self) -> None:
        if not 0 <= self.epsilon <= 127:
            raise ValueError(f"epsilon: expected 0 to 127 (on the scale of 0 to 255), got {self.epsilon}")
