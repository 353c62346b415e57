"""What follows from a comparison's records: retained gains and their errors, the weakest row, the verdict."""

from dataclasses import dataclass, field
from itertools import product
from math import inf, sqrt
from statistics import mean
from typing import Any

import numpy as np

from protect.settings.verify import requirement
from protect.verify.bootstrap import Values, difference_error, retained_error
from protect.verify.records import (
    BEST,
    CLEAN,
    MANDATORY,
    MATCHED,
    MOMENTS,
    PROTECTED,
    RECALL,
    UNTRAINED,
    Arm,
    Cheap,
    EpochResult,
    Group,
    Run,
    Source,
    Weakest,
    judged_by,
    mix_names,
)

SMALL_GAIN = 0.05  # of R@10 or accuracy: with less to lose, a low share says nothing
LUCK = 3  # nor does a gain within this many standard errors of guessing on the test set
SURE = 2  # standard errors that clean and absent must lie apart for a learnability gain


@dataclass(frozen=True)
class Comparison:
    """All rows under one recipe; `chance` is the computed one. left_out: what was not run, and why, in words.

    inapplicable: mandatory rows that would have repeated another row, each with the reason. not_run: known strong
    attacks without a row here.
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
    not_run: tuple[str, ...] = ()

    @property
    def attackers(self) -> list[str]:
        return list(dict.fromkeys(run.attacker for run in self.runs))

    def group(self, group: Group) -> list[Arm]:
        """The rows of one group, in order."""
        return [arm for arm in self.arms if arm.group is group]

    def results(self, arm: str, attacker: str, moment: str) -> list[EpochResult]:
        """One result a seed."""
        return [run.at(moment) for run in self.runs if (run.arm, run.attacker) == (arm, attacker)]

    def mean(self, arm: str, attacker: str, moment: str, statistic: str = RECALL) -> float | None:
        """The statistic (0 to 1), mean of directions and seeds; None when the row was not run."""
        results = self.results(arm, attacker, moment)
        return mean(judged_by(result.better, statistic) for result in results) if results else None

    def gain(self, arm: str, attacker: str, moment: str, statistic: str = RECALL) -> float:
        """The statistic above computed chance, mean of directions and seeds."""
        value = self.mean(arm, attacker, moment, statistic)
        assert value is not None, f"{arm} was not run"
        return value - judged_by(self.chance, statistic)

    @property
    def least_gain(self) -> float:
        """What clean training must gain in R@10 before a share of it means anything."""
        guess = judged_by(self.chance, RECALL)
        return max(SMALL_GAIN, LUCK * sqrt(guess * (1 - guess) / self.test.pairs))

    def retained(self, arm: str, attacker: str, moment: str, statistic: str = RECALL) -> float | None:
        """The part of the clean gain that the row leaves; None when clean itself gains too little, or no run."""
        return self._retained(arm, CLEAN, attacker, moment, statistic)

    def retained_of_control(self, arm: str, attacker: str, moment: str) -> float | None:
        """The same beside the row's matched control; None when that was not run, too."""
        return self._retained(arm, MATCHED + arm, attacker, moment, RECALL)

    def _retained(self, arm: str, reference: str, attacker: str, moment: str, statistic: str) -> float | None:
        if not self.results(arm, attacker, moment) or not self.results(reference, attacker, moment):
            return None
        if self.gain(reference, attacker, moment) < self.least_gain:
            return None
        return self.gain(arm, attacker, moment, statistic) / self.gain(reference, attacker, moment, statistic)

    def per_picture(self, arm: str, attacker: str, moment: str, statistic: str) -> Values | None:
        """The statistic of each test picture, mean of directions and seeds; None where it was not recorded."""
        stored = [result.pictures for result in self.results(arm, attacker, moment)]
        values = [pictures.of(statistic) for pictures in stored if pictures is not None]
        return np.mean(values, axis=0) if values else None

    def error(self, arm: str, attacker: str, moment: str, statistic: str = RECALL) -> float | None:
        """Standard error of a retained gain that comes from the choice of test pictures, by bootstrap."""
        part, whole = (self.per_picture(name, attacker, moment, statistic) for name in (arm, CLEAN))
        if part is None or whole is None or self.retained(arm, attacker, moment) is None:
            return None
        return retained_error(part, whole, judged_by(self.chance, statistic))

    def apart(self, one: Weakest, other: Weakest, statistic: str = RECALL) -> float | None:
        """By how many standard errors two rows of one attacker differ in retained gain; None when unknown."""
        rows = [self.per_picture(row.arm, row.attacker, row.moment, statistic) for row in (one, other)]
        whole = self.per_picture(CLEAN, one.attacker, one.moment, statistic)
        if rows[0] is None or rows[1] is None or whole is None or one[2:] != other[2:]:
            return None
        error = difference_error(rows[0], rows[1], whole, judged_by(self.chance, statistic))
        shares = [self.retained(*row[1:], statistic) or 0.0 for row in (one, other)]
        distance = abs(shares[0] - shares[1])
        return distance / error if error else 0.0 if distance == 0 else inf

    def accuracy(self, arm: str, attacker: str, moment: str, task: str) -> float | None:
        """Of ZERO_SHOT or LINEAR_PROBE, mean over seeds; None when the row was not run, or there are no classes."""
        known = [result.better.get(task) for result in self.results(arm, attacker, moment)]
        values = [value for value in known if value is not None]
        return mean(values) if values else None

    def retained_accuracy(self, arm: str, attacker: str, moment: str, task: str) -> float | None:
        """The part of what clean training adds to the untrained network; None when it adds too little, or no run."""
        part, whole = (self.accuracy(name, attacker, moment, task) for name in (arm, CLEAN))
        start = self.accuracy(CLEAN, attacker, UNTRAINED, task)
        if part is None or whole is None or start is None or whole - start < SMALL_GAIN:
            return None
        return (part - start) / (whole - start)

    def learnability(self, percent: float, attacker: str, moment: str) -> float | None:
        """(R(mix) - R(absent)) / (R(clean) - R(absent)): 0, nothing of the owner's pairs is learned.

        At 100 % the mixture is the protected row, and without it attackers only guess. None when a row was not
        run, or clean and absent lie so near that luck would decide.
        """
        whole, (mix, absent) = percent >= 100, mix_names(percent)
        with_it = self.mean(PROTECTED if whole else mix, attacker, moment)
        without = judged_by(self.chance, RECALL) if whole else self.mean(absent, attacker, moment)
        clean = self.mean(CLEAN, attacker, moment)
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
            return f"mandatory rows not run: {', '.join(missing or MANDATORY)}"
        gains = {attacker: self.gain(CLEAN, attacker, BEST) for attacker in self.attackers}
        if max(gains.values()) < self.least_gain:
            measured = ", ".join(f"{attacker} {max(0.0, 100 * gain):.1f}" for attacker, gain in gains.items())
            return (
                f"clean training gains too little to lose: {measured} points of R@10 at the best epoch, "
                f"{100 * self.least_gain:.1f} are needed with {self.test.pairs} test images"
            )
        return ""

    def ranked(self) -> list[Weakest]:
        """The rows that count, by what they leave the attackers, most first; empty when the verdict is refused."""
        if self.refusal:
            return []
        rows = product([arm.name for arm in self.arms if arm.claim], self.attackers, MOMENTS)
        shares = [(self.retained(*row), *row) for row in rows]
        return sorted((Weakest(share, *row) for share, *row in shares if share is not None), reverse=True)

    def weakest(self) -> Weakest | None:
        """The row that counts and gives the attackers most; None when the verdict is refused."""
        return next(iter(self.ranked()), None)

    @property
    def passed(self) -> bool:
        """Whether the weakest row keeps to what was required; no verdict does not. Without training: no leaks."""
        if not self.runs:
            return self.cheap is None or not self.cheap.leaks
        if self.settings.get("require") is None:
            return True
        weakest, meets = self.weakest(), requirement(self.settings["require"])
        return weakest is not None and meets(weakest.retained)
