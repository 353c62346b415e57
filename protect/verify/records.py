"""What a comparison records: results by epoch, runs, rows, and the checks that train nothing."""

from dataclasses import dataclass, field
from enum import StrEnum
from typing import NamedTuple

TO_TEXT, TO_IMAGE = "text_retrieval", "image_retrieval"  # i2t and t2i
RECALL, PERCENTILE = "recall@10", "mean_percentile_rank"  # what attackers are judged by
ZERO_SHOT, LINEAR_PROBE = "zeroshot_classification_acc1", "linear_probe_acc1"  # where the test set has classes
LAST, BEST, UNTRAINED = "last", "best", "untrained"
MOMENTS = (LAST, BEST)
CLEAN, PROTECTED, TEST, RECAPTIONS = "clean", "protected", "test", "recaptions"
RANDOM_NOISE, RANDOM_TRIGGER = "random-noise", "random-trigger"
TRIGGER_STRIPPED, CLEAN_CAPTIONS = "trigger-stripped", "clean-captions"
MANDATORY = (CLEAN, RANDOM_NOISE, RANDOM_TRIGGER, PROTECTED, TRIGGER_STRIPPED, CLEAN_CAPTIONS)
MATCHED = "clean:"  # begins the name of a matched control: clean files under the countermeasure of that name


class Group(StrEnum):
    """Where a row stands in the report."""

    MANDATORY = "mandatory"
    FURTHER = "further files"
    COUNTERMEASURE = "countermeasure"
    CONTROL = "matched control"
    MIXTURE = "mixture"


class Pictures(NamedTuple):
    """How each test picture was retrieved, mean of both directions: R@10 (0 to 1) and percentile rank."""

    hits: tuple[float, ...]
    percentiles: tuple[float, ...]

    def of(self, statistic: str) -> tuple[float, ...]:
        """The values of RECALL or PERCENTILE."""
        return {RECALL: self.hits, PERCENTILE: self.percentiles}[statistic]


def judged_by(metrics: dict[str, float], statistic: str) -> float:
    """RECALL or PERCENTILE (0 to 1), mean of both directions."""
    return (metrics[f"{TO_TEXT}_{statistic}"] + metrics[f"{TO_IMAGE}_{statistic}"]) / 2


@dataclass(frozen=True)
class EpochResult:
    """An attacker after an epoch; epoch 0 is the untrained network.

    metrics: on the clean test pairs, see `protect.clip.retrieval`. transformed: on the test pairs changed as the row
    changes its training pairs, where it does so once and for all; else empty. pictures: those of the better of the
    two, stored for the last and the best epoch.
    """

    epoch: int
    loss: float | None
    metrics: dict[str, float]
    seconds: float = field(compare=False)
    transformed: dict[str, float] = field(default_factory=dict)
    pictures: Pictures | None = None

    @property
    def better(self) -> dict[str, float]:
        """Of the two results: attackers may change their queries as they changed their training pairs."""
        both = [metrics for metrics in (self.metrics, self.transformed) if metrics]
        return max(both, key=lambda metrics: judged_by(metrics, RECALL))

    @property
    def score(self) -> float:
        """R@10 (0 to 1), mean of both directions."""
        return judged_by(self.better, RECALL)


@dataclass(frozen=True)
class Run:
    """One training: row, attacker, seed, pairs it used and could not; `id` hashes all that decides its outcome.

    dropped_pairs, dropped_words: shares of the files' pairs and caption words that a countermeasure threw away.
    """

    id: str
    arm: str
    attacker: str
    seed: int
    epochs: tuple[EpochResult, ...]
    pairs: int = 0
    skipped: int = 0
    dropped_pairs: float = 0.0
    dropped_words: float = 0.0

    def at(self, moment: str) -> EpochResult:
        """The untrained, last or best epoch; best by score, never epoch 0."""
        at = {UNTRAINED: self.epochs[0], LAST: self.epochs[-1]}
        return at[moment] if moment in at else max(self.epochs[1:], key=lambda result: result.score)


@dataclass(frozen=True)
class Source:
    """Data as read: pairs used, samples that could not be, SHA-256 of every file."""

    name: str
    pairs: int
    skipped: int
    shards: dict[str, str]


@dataclass(frozen=True)
class Arm:
    """A row of the comparison: what the attackers were given, or what they did to it.

    claim: whether the row counts for the verdict. note: what a reader must know of it. deed: what its attackers do,
    to be read after "who". slow: whether it needs more steps than plain training to learn as much. percent: of the
    pairs that are the owner's, in a mixture. with_owner: whether they are in it. dropped_*: as `Run` has them.
    """

    name: str
    group: Group
    claim: bool
    pairs: int
    skipped: int
    shards: dict[str, str]
    note: str = ""
    deed: str = ""
    slow: bool = False
    percent: float | None = None
    with_owner: bool = True
    dropped_pairs: float = 0.0
    dropped_words: float = 0.0


@dataclass(frozen=True)
class Cheap:
    """What the files show without any training.

    linf in 255ths, psnr in dB, ssim from 0 to 1: means over the pairs, linf the largest; reencode_*: the same
    figures of the clean pictures written again at the same quality, None when they were not. ssimulacra2: None when
    it was not measured. words_survive: share of captions whose words stay whole, by tokenizer. probe: accuracy of a
    linear classifier that reads the planted word off a picture it has not seen, probe_clean: off the clean one, which
    does not show it (None when no words are planted). detection: AUC by detector.
    """

    leaks: tuple[str, ...]
    words_survive: dict[str, float]
    linf: float
    psnr: float
    ssim: float
    reencode_psnr: float | None
    reencode_ssim: float | None
    probe: float | None
    detection: dict[str, float]
    notes: tuple[str, ...] = ()
    probe_clean: float | None = None
    ssimulacra2: float | None = None
    reencode_ssimulacra2: float | None = None


class Weakest(NamedTuple):
    """Where attackers get most: the retained gain, and in which row, by whom and when."""

    retained: float
    arm: str
    attacker: str
    moment: str


def mix_names(percent: float) -> tuple[str, str]:
    """The two rows of a mixture with so many per cent protected: with the owner's pairs, and without them."""
    return f"mix-{percent:g}", f"absent-{percent:g}"


class EpochLine(str):
    """A line of progress about a training, which also says how much of it is done, for a bar."""

    run: str
    share: float


class TotalLine(str):
    """A line of progress about all trainings of a comparison, for a bar."""

    done: int
    total: int


def total_line(text: str, done: int, total: int) -> TotalLine:
    line = TotalLine(text)
    line.done, line.total = done, total
    return line


def progress_line(run: str, result: EpochResult, epochs: int) -> EpochLine:
    """One line about a finished epoch."""
    to_text, to_image = (100 * result.better[f"{way}_{RECALL}"] for way in (TO_TEXT, TO_IMAGE))
    loss = "" if result.loss is None else f"loss {result.loss:.3f}, "
    retrieved = f"R@10 i2t {to_text:.1f} % t2i {to_image:.1f} %"
    line = EpochLine(f"{run}, epoch {result.epoch}/{epochs}: {loss}{retrieved}, {result.seconds:.1f} s")
    line.run, line.share = run, result.epoch / epochs
    return line
