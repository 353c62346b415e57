"""Every knob of the tool, with its default, unit and help; imports no torch, so that `--help` stays fast."""

import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any

STYLES = ("prefix", "suffix", "hashtags")
SHARES = ("word", "image")
STARTS = ("zero", "tiles")
GRADES = ("ready", "drawn", "learned")
PRECISIONS = ("auto", "fp32", "bf16")
STRENGTHS = ("subtle", "balanced", "strong")
CAPTION_PLACES = ("csv", "sidecar", "xmp", "iptc", "exif", "folder")
AUGMENTS = ("openclip", "none", "strong", "randaugment")
REQUIREMENT = re.compile(r"\s*gain\s*(<=|<)\s*([0-9]+(?:[.][0-9]*)?|[.][0-9]+)\s*(%?)\s*")
AUTO = -1
TRIGGER_WORDS = 3
LOOK_WORDS = 4  # that say how a picture looks
LOOKS, LOOK_LEVELS = 6, 8  # traits of pictures that such words can tell, and plain words for each (looks.py)
WORDINGS = ("plain", "drawn")
UNLEARN_METHODS = (
    *("cliperase", "ac", "hac", "hac_reg", "safeclip", "hysac", "ccu"),
    *("retrain", "finetune", "ga", "graddiff", "kl", "enmn", "l1_sparse"),
)
GEOMETRIES = ("auto", "sphere", "meru", "hycoclip")
CONSISTENCY = ("batch", "coordinates")
USUAL_SIZE = 224  # what most CLIPs see a picture at
COUNTED = 2048  # pairs whose captions show which words are frequent
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
class PhotoSettings:
    """How the photos of a folder are protected and written."""

    strength: str = knob("balanced", "how much may be seen of it: subtle, balanced or strong", STRENGTHS)
    caption_from: tuple[str, ...] = knob(
        CAPTION_PLACES, "where captions are looked for, the first that is found counts; folder: the album's name"
    )
    trigger_words: int = knob(
        LOOK_WORDS, "words in front of every caption that say how its photo looks (0: captions stay untouched)"
    )
    keep_gps: bool = knob(False, "keep where a photo was taken")
    opt_out: bool = knob(True, "write into each file that it must not be used for training (PLUS DataMining)")
    quality: int = knob(0, "quality of written JPEG, WebP, AVIF and HEIC files, 1 to 100 (0: each photo's own)")
    max_pixels: int = knob(400_000_000, "larger pictures are refused as decompression bombs")
    seed: int = knob(AUTO, f"the key that patterns and words are drawn from ({AUTO}: a random one, kept in OUT)")

    def __post_init__(self) -> None:
        among_choices(self)
        positive(self, "max_pixels")
        if unknown := sorted(set(self.caption_from) - set(CAPTION_PLACES)):
            raise ValueError(f"caption_from: expected {', '.join(CAPTION_PLACES)}, got {', '.join(unknown)}")
        if not 0 <= self.quality <= 100:
            raise ValueError(f"quality: expected 1 to 100, or 0 for each photo's own, got {self.quality}")
        if self.seed < AUTO:
            raise ValueError(f"seed: expected 0 or more, or {AUTO} for a random key, got {self.seed}")
        if not 0 <= self.trigger_words <= LOOKS:
            raise ValueError(f"trigger_words: expected 0 to {LOOKS}, got {self.trigger_words}")


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
    size: int = knob(0, "resolution the model takes, in pixels (0: the model's own)")
    limit: int = knob(0, "pairs to read from each source (0: all)")
    keep_every: int = knob(100, "steps after which the state is kept, to go on from")
    seed: int = knob(0, "one seed for everything")
    device: str = knob("auto", "auto, cpu, cuda, cuda:N or mps")

    def __post_init__(self) -> None:
        among_choices(self)
        positive(self, "steps", "epochs", "step_size", "fresh_step_size", "rank", "keep_every")
        if self.batch < 2:
            raise ValueError(f"batch: expected at least 2 pairs (the loss contrasts them), got {self.batch}")
        if min(self.weight_decay, self.size, self.limit) < 0:
            found = f"{self.weight_decay}, {self.size} and {self.limit}"
            raise ValueError(f"weight_decay, size and limit: expected 0 or more, got {found}")


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
    calibrate: float = knob(float(AUTO), f"[ac hac hac_reg] weight of all three ({AUTO}: forget / retain pairs)")
    hold: float = knob(0.2, "[hac hac_reg] retain images inside their caption's cone")
    expel: float = knob(0.2, "[hac hac_reg] forget images outside of it")
    norm: float = knob(0.01, "[hac_reg] distance of the forget pairs from the origin")
    aperture: float = knob(1.0, "[hac hac_reg hysac] scale of the entailment cones")
    order: float = knob(1.0, "[hysac] weight of the entailment terms beside the contrastive ones")
    preserve: float = knob(1.0, "[safeclip hysac] contrast of the safe pairs, 1 in the papers")
    rivals: bool = knob(False, "[safeclip] an unsafe item is a wrong answer for an unsafe query, not so in the paper")
    keep: float = knob(1.0, "[ccu] outputs of the other modality, and retain images, as they were")
    balance: float = knob(0.5, "[ccu] every class named equally often for the forget images")
    separate: float = knob(1.0, "[ccu] retain classes apart from each other and from the forget set")
    sparse: float = knob(1e-5, "[l1_sparse] sum of all weights' magnitudes")
    floor: float = knob(1.0, "[ga graddiff kl] how far above chance a forget pair's loss is driven, in nats")
    impair: float = knob(0.5, "[enmn] share of the steps that train on the error-maximising images")

    def __post_init__(self) -> None:
        among_choices(self)
        for f in fields(self):
            value = getattr(self, f.name)
            if isinstance(value, float) and not (value >= 0 or value == f.default):
                raise ValueError(f"{f.name}: expected 0 or more, got {value}")
        if self.impair > 1:
            raise ValueError(f"impair: expected a share, 0 to 1, got {self.impair}")


def from_dict(cls: type, values: dict[str, Any]) -> Any:
    """Settings of class `cls` from plain values; raises ValueError on a name it does not know."""
    known = {f.name for f in fields(cls)}
    unknown = sorted(set(values) - known)
    if unknown:
        raise ValueError(f"{cls.__name__}: expected {', '.join(sorted(known))}; got {', '.join(unknown)}")
    return replace(cls(), **{k: tuple(v) if isinstance(v, list) else v for k, v in values.items()})
