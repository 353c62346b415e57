"""Every knob of the tool, with its default, unit and help; imports no torch, so that `--help` stays fast."""

from dataclasses import asdict, dataclass, fields, replace
from typing import Any

from protect.settings.base import AUTO, among_choices, from_dict, knob, positive

STYLES = ("prefix", "suffix", "hashtags")
SHARES = ("word", "image")
STARTS = ("zero", "tiles")
GRADES = ("ready", "drawn", "learned")
PRECISIONS = ("auto", "fp32", "bf16")
TRIGGER_WORDS = 3
LOOK_WORDS = 4  # that say how a picture looks
LOOKS, LOOK_LEVELS = 6, 8  # traits of pictures that such words can tell, and plain words for each (looks.py)
WORDINGS = ("plain", "drawn")
USUAL_SIZE = 224  # what most CLIPs see a picture at
COUNTED = 2048  # pairs whose captions show which words are frequent
BY_SHARE = f"{AUTO}: what suits the share"


@dataclass(frozen=True)
class FitSettings:
    """Phase 1: what is optimised, on how much data, with which surrogate."""

    method: str = knob("content", "content, code, mem, em or random", ("content", "code", "mem", "em", "random"))
    surrogate: tuple[str, ...] = knob(
        ("auto",), "tiny-resnet, tiny-vit, open_clip names or Hugging Face CLIP folders; several take turns"
    )
    pretrained: str = knob("", "weights for the surrogate: an open_clip tag or a checkpoint path")
    size: int = knob(
        0, f"pixels that the noise is made for (0: the surrogate's own; content: the pictures', {USUAL_SIZE} at most)"
    )
    window: int = knob(8192, "pairs to fit on, at most; phase 2 protects any number")
    batch: int = knob(128, "pairs in a batch")
    seed: int = knob(0, "one seed for everything: same input, same seed, same bytes")
    device: str = knob("auto", "auto, cpu, cuda, cuda:N or mps")
    precision: str = knob(
        "auto", "the surrogate's: fp32, bf16, or auto (bf16 where it is faster; the protector keeps what was found)",
        PRECISIONS,
    )  # fmt: skip

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

    trigger_words: int = knob(
        AUTO,
        f"trigger words in a caption (0: captions stay untouched; {AUTO}: {LOOK_WORDS} with content, "
        f"else {TRIGGER_WORDS})",
    )
    trigger_style: str = knob("prefix", "where the words go: prefix, suffix or hashtags", STYLES)
    alphabet: int = knob(8, "words to choose from at each position (0: the whole vetted list)")

    def __post_init__(self) -> None:
        if self.trigger_words < AUTO or self.alphabet < 0:
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
    through: tuple[str, ...] = knob((), "transformations drawn anew at every step: crop, zoom, jitter, jpeg, gray")

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
    later_steps: int = knob(32, "noise steps for an image that the fit has not seen (share image)")
    ready: float = knob(
        float(AUTO),
        f"noise moves once the surrogate's loss is below this share of chance, 0 for always ({BY_SHARE})",
    )
    learning_rate: float = knob(1e-3, "the surrogate's, AdamW, constant")
    weight_decay: float = knob(0.2, "the surrogate's, on matrices only")

    def __post_init__(self) -> None:
        among_choices(self)
        positive(self, "candidates", "later_steps", "learning_rate")
        for name in ("rounds", "surrogate_steps", "noise_batches", "fresh_every", "text_rounds", "ready"):
            if getattr(self, name) < AUTO:
                raise ValueError(f"{name}: expected 0 or more, or {AUTO}, got {getattr(self, name)}")


@dataclass(frozen=True)
class CodeSettings:
    """The textures of the method code: one for each word, repeated over the whole picture."""

    grade: str = knob("ready", "textures shipped with the tool, drawn from the seed, or learned on the pairs", GRADES)
    period: int = knob(8, "pixels after which a drawn or learned texture repeats")
    tile_steps: int = knob(200, "steps that learn the textures, each on another untrained network")
    tile_step: float = knob(0.4, "length of such a step, in 255ths at epsilon 8")

    def __post_init__(self) -> None:
        among_choices(self)
        positive(self, "tile_steps", "tile_step")
        if self.period < 2:
            raise ValueError(f"period: expected at least 2 pixels, got {self.period}")


@dataclass(frozen=True)
class ContentSettings:
    """The method content: planted words that say how a picture looks, and a direction for each word of a caption."""

    wording: str = knob(
        "plain", "planted words of content: plain English that says it (azure, dim), or drawn from the seed", WORDINGS
    )
    content_words: int = knob(4, "words of a picture's captions whose directions are made loud, at most")
    loudness: float = knob(2.0, "amplitude of a loud direction before the sum is cut to epsilon, in epsilons")
    hush: float = knob(0.7, "share of a picture's texture in all other directions that is taken away")

    def __post_init__(self) -> None:
        among_choices(self)
        positive(self, "content_words", "loudness")
        if not 0 <= self.hush <= 1:
            raise ValueError(f"hush: expected a share of 0 to 1, got {self.hush}")


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
    code: CodeSettings = CodeSettings()
    content: ContentSettings = ContentSettings()

    def __post_init__(self) -> None:
        if self.trigger.trigger_words == AUTO:
            words = LOOK_WORDS if self.reads_captions else TRIGGER_WORDS
            object.__setattr__(self, "trigger", replace(self.trigger, trigger_words=words))
        if self.reads_captions:
            self._check_looks()
        share = self.mem.share if self.fit.method == "mem" else "image"
        by_word = share == "word" or self.fit.method == "code"
        if by_word and not (self.trigger.trigger_words and self.trigger.alphabet):
            raise ValueError(
                "one pattern a word: expected trigger_words and alphabet above 0, got "
                f"{self.trigger.trigger_words} and {self.trigger.alphabet}; use method mem with share=image, or em"
            )
        mem = {name: value for name, value in SCHEDULES[share].items() if getattr(self.mem, name) == AUTO}
        noise = {name: value for name, value in STEPS[share].items() if not getattr(self.noise, name)}
        enough = self.fit.batch if self.drawn else COUNTED if self.reads_captions else self.fit.window
        object.__setattr__(self, "fit", replace(self.fit, window=min(self.fit.window, enough)))
        object.__setattr__(self, "mem", replace(self.mem, share=share, **mem))
        object.__setattr__(self, "noise", replace(self.noise, **noise))
        positive(self.mem, "rounds", "surrogate_steps")

    def _check_looks(self) -> None:
        words, levels = self.trigger.trigger_words, self.trigger.alphabet
        if words > LOOKS:
            raise ValueError(
                f"trigger_words: expected at most {LOOKS} (pictures look different in so many ways), got {words}"
            )
        if self.content.wording == "plain" and not 2 <= levels <= LOOK_LEVELS:
            raise ValueError(
                f"alphabet: expected 2 to {LOOK_LEVELS} plain words for a look, got {levels}; or use wording=drawn"
            )

    @property
    def drawn(self) -> bool:
        """Whether the data do not matter: words, noise and textures come from the seed alone."""
        return self.fit.method == "random" or (self.fit.method == "code" and self.code.grade != "learned")

    @property
    def reads_captions(self) -> bool:
        """Whether noise says what captions say already, so that the words of the data are counted."""
        return self.fit.method == "content"

    @property
    def modelless(self) -> bool:
        """Whether no model is trained."""
        return self.reads_captions or self.fit.method == "random"

    @property
    def any_size(self) -> bool:
        """Whether the noise fits pictures of every size: a small one gets it at its own."""
        return self.fit.method in ("content", "code")

    @property
    def whole(self) -> bool:
        """Whether the noise follows the picture, so that it is made for the whole of it, not for a middle square."""
        return self.fit.method == "content"

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
