"""Every knob of the tool, with its default, unit and help; imports no torch, so that `--help` stays fast."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any

STYLES = ("prefix", "suffix", "hashtags")
SHARES = ("word", "image")
STARTS = ("zero", "tiles")
AUTO = -1
DRAWN = ("code", "random")  # methods that learn nothing from the data: some pairs are enough for a fingerprint
BY_SHARE = f"{AUTO}: what suits the share"


def knob(default: Any, help: str, choices: Sequence[str] | None = None) -> Any:
    """A documented field of a Settings class; the command-line option is made from it."""
    return field(default=default, metadata={"help": help, "choices": choices})


def positive(settings: Any, *names: str) -> None:
    """Raise ValueError unless each named field is above zero."""
    for name in names:
        if not getattr(settings, name) > 0:
            raise ValueError(f"{name}: expected a number above 0, got {getattr(settings, name)}")


def among_choices(settings: Any) -> None:
    """Raise ValueError unless each field with choices holds one of them, or its default."""
    for f in fields(settings):
        choices, value = f.metadata["choices"], getattr(settings, f.name)
        if choices and value not in (*choices, f.default):
            raise ValueError(f"{f.name}: expected one of {', '.join(choices)}, got {value!r}")


@dataclass(frozen=True)
class FitSettings:
    """Phase 1: what is optimised, on how much data, with which surrogate."""

    method: str = knob("code", "code, mem, em or random", ("code", "mem", "em", "random"))
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
        among_choices(self)
        positive(self, "window", "batch")
        if self.size < 0:
            raise ValueError(f"size: expected pixels, or 0 for the surrogate's own, got {self.size}")
        if self.batch < 2:
            raise ValueError(f"batch: expected at least 2 pairs (the loss contrasts them), got {self.batch}")


@dataclass(frozen=True)
class TriggerSettings:
    """Which words are planted, how many, and where in the caption."""

    trigger_words: int = knob(3, "trigger words in a caption (0: captions stay untouched)")
    trigger_style: str = knob("prefix", "where the words go: prefix, suffix or hashtags", STYLES)
    alphabet: int = knob(8, "words to choose from at each position (0: the whole vetted list)")

    def __post_init__(self) -> None:
        if self.trigger_words < 0 or self.alphabet < 0:
            raise ValueError(
                f"trigger_words and alphabet: expected 0 or more, got {self.trigger_words} and {self.alphabet}"
            )
        among_choices(self)


@dataclass(frozen=True)
class NoiseSettings:
    """The signed-gradient loop."""

    epsilon: float = knob(8.0, "largest change of a pixel, in 255ths")
    step_size: float = knob(0.0, "length of one step, in 255ths (0: what suits the share)")
    steps: int = knob(0, "steps for a batch and round (0: what suits the share)")
    through: tuple[str, ...] = knob((), "transformations drawn anew at every step: crop, jpeg, or both")

    def __post_init__(self) -> None:
        if not 0 <= self.epsilon <= 127:
            raise ValueError(f"epsilon: expected 0 to 127 (255ths), got {self.epsilon}")
        if not (self.step_size >= 0 and self.steps >= 0):
            raise ValueError(f"step_size and steps: expected 0 or more, got {self.step_size} and {self.steps}")


@dataclass(frozen=True)
class MemSettings:
    """The rounds of error minimisation (MEM, and EM without words)."""

    share: str = knob("word", "one noise pattern for each word, or a noise for each image", SHARES)
    start: str = knob("tiles", "noise before the first round: zero, or colour tiles by word", STARTS)
    rounds: int = knob(AUTO, f"rounds of surrogate, word and noise steps ({BY_SHARE})")
    surrogate_steps: int = knob(AUTO, f"surrogate batches in a round ({BY_SHARE})")
    noise_batches: int = knob(AUTO, f"batches in a round whose noise is moved, 0 for the whole window ({BY_SHARE})")
    fresh_every: int = knob(AUTO, f"rounds after which the surrogate starts anew, 0 for never ({BY_SHARE})")
    text_rounds: int = knob(AUTO, f"rounds, from the first, in which words are searched ({BY_SHARE})")
    candidates: int = knob(16, "words tried at each position and row")
    ready: float = knob(
        float(AUTO),
        f"noise moves once the surrogate's loss is below this share of chance, 0 for always ({BY_SHARE})",
    )
    learning_rate: float = knob(1e-3, "the surrogate's, AdamW, constant")
    weight_decay: float = knob(0.2, "the surrogate's, on matrices only")

    def __post_init__(self) -> None:
        among_choices(self)
        positive(self, "candidates", "learning_rate")
        for name in ("rounds", "surrogate_steps", "noise_batches", "fresh_every", "text_rounds", "ready"):
            if getattr(self, name) < AUTO:
                raise ValueError(f"{name}: expected 0 or more, or {AUTO}, got {getattr(self, name)}")


# A pattern that belongs to a word is right when a network that knows nothing yet learns it at once: many short
# rounds in the first steps of fresh surrogates. A noise of an image's own needs the paper's few long rounds.
SCHEDULES: dict[str, dict[str, Any]] = {
    "word": {
        "rounds": 400,
        "surrogate_steps": 1,
        "noise_batches": 1,
        "fresh_every": 200,
        "text_rounds": 0,
        "ready": 0.6,
    },
    "image": {
        "rounds": 8,
        "surrogate_steps": 50,
        "noise_batches": 0,
        "fresh_every": 0,
        "text_rounds": 2,
        "ready": 0.0,
    },
}
STEPS: dict[str, dict[str, Any]] = {"word": {"step_size": 0.05, "steps": 1}, "image": {"step_size": 1.0, "steps": 8}}


@dataclass(frozen=True)
class Recipe:
    """All that phase 1 depends on; saved with the protector, so that a file can always be made again.

    Knobs left to the share get their numbers here.
    """

    fit: FitSettings = FitSettings()
    trigger: TriggerSettings = TriggerSettings()
    noise: NoiseSettings = NoiseSettings()
    mem: MemSettings = MemSettings()

    def __post_init__(self) -> None:
        share = self.mem.share if self.fit.method == "mem" else "image"
        by_word = share == "word" or self.fit.method == "code"
        if by_word and not (self.trigger.trigger_words and self.trigger.alphabet):
            raise ValueError(
                "one pattern a word: expected trigger_words and alphabet above 0, got "
                f"{self.trigger.trigger_words} and {self.trigger.alphabet}; use method mem with share=image, or em"
            )
        mem = {name: value for name, value in SCHEDULES[share].items() if getattr(self.mem, name) == AUTO}
        noise = {name: value for name, value in STEPS[share].items() if not getattr(self.noise, name)}
        if self.fit.method in DRAWN:
            object.__setattr__(self, "fit", replace(self.fit, window=min(self.fit.window, self.fit.batch)))
        object.__setattr__(self, "mem", replace(self.mem, share=share, **mem))
        object.__setattr__(self, "noise", replace(self.noise, **noise))
        positive(self.mem, "rounds", "surrogate_steps")

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> "Recipe":
        known = {f.name: type(f.default) for f in fields(cls)}
        if unknown := sorted(set(values) - set(known)):
            raise ValueError(f"{cls.__name__}: expected {', '.join(known)}; got {', '.join(unknown)}")
        return cls(**{name: from_dict(part, values.get(name, {})) for name, part in known.items()})


PRESETS: dict[str, dict[str, Any]] = {
    "default": {},
    "paper": {
        "method": "mem",
        "surrogate": ("RN50",),
        "size": 224,
        "alphabet": 0,
        "rounds": 20,
        "surrogate_steps": 200,
        "text_rounds": 5,
        "share": "image",
        "start": "zero",
        "fresh_every": 0,
        "noise_batches": 0,
        "ready": 0.0,
        "steps": 8,
        "step_size": 1.0,
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
        among_choices(self)
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
