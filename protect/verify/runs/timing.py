"""How long a plan will take: a few real steps of every way of training in it."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from time import perf_counter

from protect.settings.verify import VerifySettings
from protect.verify.attackers.train import train
from protect.verify.countermeasures import COUNTERMEASURES
from protect.verify.reading.pairs import JudgedPairs, Pairs
from protect.verify.result import TWIN
from protect.verify.runs.plan import Plan

STEPS = 4  # in each of two epochs, of which the first only warms up
JUDGED = 3  # times in them


@dataclass
class Stopwatch:
    """Expected seconds of plans; each way of training is timed when it is first asked for.

    data: what each attacker trains on and is judged on, at his size.
    """

    data: Mapping[str, tuple[Pairs, JudgedPairs]]
    settings: VerifySettings
    jobs: int
    _timed: dict[tuple[str, str, str], tuple[float, float]] = field(default_factory=dict)

    def seconds(self, plan: Plan) -> float:
        """Of all trainings in the plan, spread over the jobs."""
        total = 0.0
        for row in plan.rows:
            for attacker, (pairs, _) in self.data.items():
                count = min(plan.pairs or len(pairs), len(pairs))
                step, judge = self._times(attacker, row.view or self.settings.augment, row.lesson)
                epochs, how = plan.epochs * row.times, COUNTERMEASURES.get(row.name.removeprefix(TWIN))
                judge *= 2 if how is not None and how.judged_alike else 1
                total += plan.seeds * (epochs * (count // self.settings.batch * step + judge) + judge)
        return total / self.jobs

    def _times(self, attacker: str, view: str, lesson: str) -> tuple[float, float]:
        """Seconds of a step, and of judging once."""
        way = (attacker, view, lesson)
        if way not in self._timed:
            short, begin = replace(self.settings, epochs=2), perf_counter()
            results = list(train(*self.data[attacker], attacker, short, 0, STEPS, view=view, lesson=lesson))
            judging = perf_counter() - begin - sum(result.seconds for result in results)
            self._timed[way] = (results[-1].seconds / STEPS, max(0.0, judging / JUDGED))
        return self._timed[way]
