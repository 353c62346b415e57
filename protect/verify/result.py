"""What a comparison found: records, and what follows from them: shares of the clean gain, the weakest row."""

from dataclasses import dataclass, field
from itertools import product
from math import sqrt
from statistics import mean
from typing import Any, NamedTuple

from protect.settings.verify import requirement

TO_TEXT, TO_IMAGE = "text_retrieval", "image_retrieval"  # i2t and t2i
SMALL_GAIN = 0.05  # of R@10: with less to lose, a low share says nothing
LUCK = 3  # nor does a gain within this many standard errors of guessing on the test set
SURE = 2  # standard errors that clean and absent must lie apart for a learnability gain
MOMENTS = ("last", "best")
CLEAN, PROTECTED, TEST = "clean", "protected", "test"
MANDATORY = (CLEAN, "random-noise", "random-trigger", PROTECTED, "trigger-stripped", "clean-captions")
GROUPS = ("mandatory", "extra", "countermeasure", "twin", "dilution")
TWIN = "clean:"  # begins the name of a row that does to clean files what the row of that name does to published ones


@dataclass(frozen=True)
class EpochResult:
    """An attacker after an epoch; epoch 0 is the untrained network.

    metrics: on the clean test pairs, see `protect.metrics`. alike: on the same pairs changed as the row changes
    its training pairs, where it does so once and for all; else empty.
    """

    epoch: int
    loss: float | None
    metrics: dict[str, float]
    seconds: float = field(compare=False)
    alike: dict[str, float] = field(default_factory=dict)

    @property
    def got(self) -> dict[str, float]:
        """The better of the two results: an attacker may change what he asks his model as he changed its lessons."""
        return max((self.metrics, self.alike), key=lambda found: recall(found) if found else -1.0)

    @property
    def score(self) -> float:
        """R@10 (0 to 1), mean of both directions."""
        return recall(self.got)


@dataclass(frozen=True)
class Run:
    """One training: arm, attacker, seed, pairs it used and could not; `id` hashes all that decides its outcome.

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
        """The "untrained", "last" or "best" epoch; best by score, never epoch 0."""
        if moment == "best":
            return max(self.epochs[1:], key=lambda result: result.score)
        return self.epochs[0 if moment == "untrained" else -1]


@dataclass(frozen=True)
class Source:
    """Data as read: pairs used, samples that could not be, SHA-256 of every file."""

    name: str
    pairs: int
    skipped: int
    shards: dict[str, str]


@dataclass(frozen=True)
class Arm:
    """A row of the comparison: what the attacker was given, or what he did to it.

    group: one of GROUPS. claim: whether the row counts for the verdict. note: what a reader must know of it.
    dropped_pairs, dropped_words: as `Run` has them.
    """

    name: str
    group: str
    claim: bool
    pairs: int
    skipped: int
    shards: dict[str, str]
    note: str = ""
    dropped_pairs: float = 0.0
    dropped_words: float = 0.0


@dataclass(frozen=True)
class Cheap:
    """What the files show without any training.

    linf in 255ths, psnr in dB, ssim from 0 to 1: means over the pairs, linf the largest; reencode_*: the same
    figures of the clean pictures written again at the same quality, None when they were not. ssimulacra2: None when
    it was not measured. words_survive:
    share of captions whose words stay whole, by tokenizer. probe: accuracy of a linear classifier that reads the
    planted word off a picture it has not seen, probe_clean: off the clean one, which does not show it (None when
    no words are planted). detection: AUC by detector.
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
    """Where the attacker gets most."""

    share: float
    arm: str
    attacker: str
    moment: str


@dataclass(frozen=True)
class Comparison:
    """All arms under one recipe; `chance` is the computed one. left_out: what was not run, and why, in words.

    inapplicable: mandatory rows that would have been another row once more, each with the reason.
    """

    settings: dict[str, Any]
    versions: dict[str, str]
    test: Source
    arms: tuple[Arm, ...]
    chance: dict[str, float]
    runs: tuple[Run, ...]
    cheap: Cheap | None = None
    left_out: tuple[str, ...] = ()
    seconds: float = field(default=0.0, compare=False)
    inapplicable: dict[str, str] = field(default_factory=dict)

    @property
    def attackers(self) -> list[str]:
        return list(dict.fromkeys(run.attacker for run in self.runs))

    def group(self, name: str) -> list[Arm]:
        """The arms of one group, in order."""
        return [arm for arm in self.arms if arm.group == name]

    def results(self, arm: str, attacker: str, moment: str) -> list[EpochResult]:
        """One result a seed."""
        return [run.at(moment) for run in self.runs if (run.arm, run.attacker) == (arm, attacker)]

    def recall(self, arm: str, attacker: str, moment: str) -> float | None:
        """R@10 (0 to 1), mean of directions and seeds; None when the arm was not run."""
        results = self.results(arm, attacker, moment)
        return mean(result.score for result in results) if results else None

    def gain(self, arm: str, attacker: str, moment: str) -> float:
        """Points of R@10 (0 to 1) above computed chance, mean of directions and seeds."""
        return mean(result.score for result in self.results(arm, attacker, moment)) - recall(self.chance)

    @property
    def least_gain(self) -> float:
        """What clean training must gain before a share of it means anything."""
        guess = recall(self.chance)
        return max(SMALL_GAIN, LUCK * sqrt(guess * (1 - guess) / self.test.pairs))

    def share(self, arm: str, attacker: str, moment: str) -> float | None:
        """The part of the clean gain that the arm leaves; None when clean itself gains too little, or no run."""
        return self._share(arm, CLEAN, attacker, moment)

    def share_of_twin(self, arm: str, attacker: str, moment: str) -> float | None:
        """The same beside clean files that were treated as the arm is; None when that was not run, too."""
        return self._share(arm, TWIN + arm, attacker, moment)

    def _share(self, arm: str, reference: str, attacker: str, moment: str) -> float | None:
        if not self.results(arm, attacker, moment) or not self.results(reference, attacker, moment):
            return None
        whole = self.gain(reference, attacker, moment)
        return self.gain(arm, attacker, moment) / whole if whole >= self.least_gain else None

    def error(self, arm: str, attacker: str, moment: str) -> float:
        """Standard error of a share that comes from the number of test pictures, as if directions were one."""
        whole, part = (self.recall(name, attacker, moment) or 0.0 for name in (CLEAN, arm))
        share = self.share(arm, attacker, moment) or 0.0
        spread = part * (1 - part) + share**2 * whole * (1 - whole)
        return sqrt(spread / max(1, self.test.pairs)) / self.gain(CLEAN, attacker, moment)

    def learnability(self, percent: float, attacker: str, moment: str) -> float | None:
        """(R(mix) - R(absent)) / (R(clean) - R(absent)): 0, nothing of the owner's pairs is learned.

        At 100 % the mixture is the protected arm and the attacker without it only guesses. None when an arm
        was not run, or clean and absent lie so near that luck would decide.
        """
        mix, absent = mix_names(percent)
        with_it = self.recall(PROTECTED if percent == 100 else mix, attacker, moment)
        without = recall(self.chance) if percent == 100 else self.recall(absent, attacker, moment)
        clean = self.recall(CLEAN, attacker, moment)
        if with_it is None or without is None or clean is None:
            return None
        tests = self.test.pairs * len(self.results(CLEAN, attacker, moment))
        error = sqrt((clean * (1 - clean) + without * (1 - without)) / tests)
        return (with_it - without) / (clean - without) if clean - without > max(SURE * error, 0.01) else None

    @property
    def refusal(self) -> str:
        """Why there is no verdict; empty when there is one."""
        run = {(run.arm, run.attacker) for run in self.runs}
        needed = [arm for arm in MANDATORY if arm not in self.inapplicable]
        missing = [arm for arm in needed if any((arm, attacker) not in run for attacker in self.attackers)]
        if missing or not self.runs:
            return f"mandatory arms not run: {', '.join(missing or MANDATORY)}"
        gains = {attacker: self.gain(CLEAN, attacker, "best") for attacker in self.attackers}
        if max(gains.values()) < self.least_gain:
            found = ", ".join(f"{attacker} {max(0.0, 100 * gain):.1f}" for attacker, gain in gains.items())
            return (
                f"clean training gains too little to lose: {found} points of R@10 at the best epoch, "
                f"{100 * self.least_gain:.1f} are needed with {self.test.pairs} test images"
            )
        return ""

    def weakest(self) -> Weakest | None:
        """The claim row that gives the attacker most; None when the verdict is refused."""
        if self.refusal:
            return None
        rows = product([arm.name for arm in self.arms if arm.claim], self.attackers, MOMENTS)
        shares = [(self.share(*row), *row) for row in rows]
        return max((Weakest(s, *row) for s, *row in shares if s is not None), default=None)

    @property
    def passed(self) -> bool:
        """Whether the weakest row keeps to what was required; no verdict does not. Without training: no leaks."""
        if not self.runs:
            return self.cheap is None or not self.cheap.leaks
        if not self.settings.get("require"):
            return True
        sign, limit = requirement(self.settings["require"])
        weakest = self.weakest()
        return weakest is not None and (weakest.share < limit or (sign == "<=" and weakest.share == limit))


def mix_names(percent: float) -> tuple[str, str]:
    """The two rows of a mixture with so many per cent protected: with the owner's pairs, and without them."""
    return f"mix-{percent:g}", f"absent-{percent:g}"


def recall(metrics: dict[str, float]) -> float:
    """R@10 (0 to 1), mean of both directions."""
    return (metrics[f"{TO_TEXT}_recall@10"] + metrics[f"{TO_IMAGE}_recall@10"]) / 2


def progress_line(run: str, result: EpochResult, epochs: int) -> str:
    """One line about a finished epoch."""
    to_text, to_image = (100 * result.got[f"{way}_recall@10"] for way in (TO_TEXT, TO_IMAGE))
    loss = "" if result.loss is None else f"loss {result.loss:.3f}, "
    found = f"R@10 i2t {to_text:.1f} % t2i {to_image:.1f} %"
    return f"{run}, epoch {result.epoch}/{epochs}: {loss}{found}, {result.seconds:.1f} s"
