"""Every knob of the tool, with its default, unit and help; imports no torch, so that `--help` stays fast."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any

STYLES = ("prefix", "suffix", "hashtags")
SHARES = ("word", "image")
STARTS = ("zero", "tiles")


def knob(default: Any, help: str, choices: Sequence[str] | None = None) -> Any:
    """A documented field of a Settings class; the command-line option is made from it."""
    return field(default=default, metadata={"help": help, "choices": choices})


def positive(settings: Any, *names: str) -> None:
    """Raise ValueError unless each named field is above zero."""
    for name in names:
        if getattr(settings, name) <= 0:
            raise ValueError(f"{name}: expected a number above 0, got {getattr(settings, name)}")


@dataclass(frozen=True)
class FitSettings:
    """Phase 1: what is optimised, on how much data, with which surrogate."""

    method: str = knob("mem", "mem, em or random", ("mem", "em", "random"))
    surrogate: tuple[str, ...] = knob(
        ("auto",), "tiny-resnet, tiny-vit, open_clip names or Hugging Face CLIP folders; several take turns"
    )
    pretrained: str = knob("", "weights for the surrogate: an open_clip tag or a checkpoint path")
    size: int = knob(0, "training resolution the noise is made at, in pixels (0: the surrogate's own)")
    window: int = knob(8192, "pairs to fit on, at most; phase 2 protects any number")
    batch: int = knob(128, "pairs in a batch")
    seed: int = knob(0, "one seed for everything: same input, same seed, same bytes")
    device: str = knob("auto", "auto, cpu, cuda, cuda:N or mps")

    def __post_init__(self) -> None:
        positive(self, "window", "batch")
        if self.batch < 2:
            raise ValueError(f"batch: expected at least 2 pairs (the loss contrasts them), got {self.batch}")


@dataclass(frozen=True)
class TriggerSettings:
    """Which words are planted, how many, and where in the caption."""

    trigger_words: int = knob(3, "trigger words in a caption (0: captions stay untouched)")
    trigger_style: str = knob("prefix", "where the words go: prefix, suffix or hashtags", STYLES)
    alphabet: int = knob(16, "words to choose from at each position (0: the whole vetted list)")

    def __post_init__(self) -> None:
        if self.trigger_words < 0 or self.alphabet < 0:
            raise ValueError(
                f"trigger_words and alphabet: expected 0 or more, got {self.trigger_words} and {self.alphabet}"
            )
        if self.trigger_style not in STYLES:
            raise ValueError(f"trigger_style: expected one of {', '.join(STYLES)}, got {self.trigger_style!r}")


@dataclass(frozen=True)
class NoiseSettings:
    """The signed-gradient loop."""

    epsilon: float = knob(8.0, "largest change of a pixel, in 255ths")
    step_size: float = knob(1.0, "length of one step, in 255ths")
    steps: int = knob(8, "steps for a batch and round")

    def __post_init__(self) -> None:
        if not 0 <= self.epsilon <= 127:
            raise ValueError(f"epsilon: expected 0 to 127 (255ths), got {self.epsilon}")
        positive(self, "step_size", "steps")


@dataclass(frozen=True)
class MemSettings:
    """The rounds of error minimisation (MEM, and EM without words)."""

    rounds: int = knob(8, "rounds of surrogate, word and noise steps")
    surrogate_steps: int = knob(50, "surrogate batches in a round")
    text_rounds: int = knob(2, "rounds, from the first, in which words are searched")
    candidates: int = knob(16, "words tried at each position and row")
    share: str = knob("word", "one noise pattern for each word, or a noise for each image", SHARES)
    start: str = knob("tiles", "noise before the first round: zero, or colour tiles by word", STARTS)
    fresh_every: int = knob(1, "rounds after which the surrogate starts anew (0: never)")
    learning_rate: float = knob(1e-3, "the surrogate's, AdamW, constant")
    weight_decay: float = knob(0.2, "the surrogate's, on matrices only")

    def __post_init__(self) -> None:
        positive(self, "rounds", "surrogate_steps", "candidates", "learning_rate")
        if self.text_rounds < 0 or self.fresh_every < 0:
            raise ValueError(
                f"text_rounds and fresh_every: expected 0 or more, got {self.text_rounds} and {self.fresh_every}"
            )


@dataclass(frozen=True)
class Recipe:
    """All that phase 1 depends on; saved with the protector, so that a file can always be made again."""

    fit: FitSettings = FitSettings()
    trigger: TriggerSettings = TriggerSettings()
    noise: NoiseSettings = NoiseSettings()
    mem: MemSettings = MemSettings()

    def __post_init__(self) -> None:
        by_word = self.fit.method == "mem" and self.mem.share == "word"
        if by_word and not (self.trigger.trigger_words and self.trigger.alphabet):
            raise ValueError(
                "share: one pattern a word needs trigger_words and alphabet above 0; use share=image or method em"
            )

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> "Recipe":
        parts = {f.name: from_dict(type(f.default), values.get(f.name, {})) for f in fields(cls)}
        return cls(**parts)


PRESETS: dict[str, dict[str, Any]] = {
    "default": {},
    "paper": {
        "surrogate": ("RN50",),
        "size": 224,
        "alphabet": 0,
        "rounds": 20,
        "surrogate_steps": 200,
        "text_rounds": 5,
        "share": "image",
        "start": "zero",
        "fresh_every": 0,
        "learning_rate": 1e-4,
    },
}


@dataclass(frozen=True)
class PublishSettings:
    """How protected samples are written."""

    jpeg_quality: int = knob(95, "quality of written JPEG and lossy WebP files, 1 to 100")
    jpeg_sampling: str = knob("444", "chroma sampling of written JPEGs: 444 or keep", ("444", "keep"))
    max_pixels: int = knob(250_000_000, "larger pictures are refused as decompression bombs")
    caption_keys: tuple[str, ...] = knob(
        ("caption", "captions", "text", "alt"), "JSON and parquet fields that hold captions"
    )
    urls: str = knob("", "url, sha256 and the like lead back to the clean original: keep or strip", ("keep", "strip"))
    on_error: str = knob(
        "keep",
        "a sample that cannot be protected: keep it unchanged, skip (drop) it, or fail",
        ("keep", "skip", "fail"),
    )

    def __post_init__(self) -> None:
        if not 1 <= self.jpeg_quality <= 100:
            raise ValueError(f"jpeg_quality: expected 1 to 100, got {self.jpeg_quality}")


@dataclass(frozen=True)
class VerifySettings:
    """How the attacker trains and how he is judged; the same for every arm."""

    attackers: tuple[str, ...] = knob(
        ("tiny-resnet", "tiny-vit"), "models trained from scratch: tiny-resnet, tiny-vit, open_clip names"
    )
    epochs: int = knob(10, "passes over the training pairs, judged after each")
    seeds: int = knob(1, "runs of every arm, each from another seed")
    batch: int = knob(128, "pairs in a batch")
    learning_rate: float = knob(1e-3, "peak of the one-cycle schedule")
    weight_decay: float = knob(0.2, "AdamW's, on matrices only")
    limit: int = knob(0, "training pairs to read from each arm (0: all)")
    size: int = knob(0, "training resolution in pixels (0: the model's own)")
    device: str = knob("auto", "auto, cpu, cuda, cuda:N or mps")

    def __post_init__(self) -> None:
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


def from_dict(cls: type, values: dict[str, Any]) -> Any:
    """Settings of class `cls` from plain values; raises ValueError on a name it does not know."""
    known = {f.name for f in fields(cls)}
    unknown = sorted(set(values) - known)
    if unknown:
        raise ValueError(f"{cls.__name__}: expected {', '.join(sorted(known))}; got {', '.join(unknown)}")
    return replace(cls(), **{k: tuple(v) if isinstance(v, list) else v for k, v in values.items()})
