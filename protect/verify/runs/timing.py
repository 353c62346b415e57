"""How long a plan will take: a few real steps of every way of training in it."""

from dataclasses import dataclass, field, replace
from time import perf_counter

from protect.settings.verify import VerifySettings
from protect.verify.attackers.built_in import is_fitted, learns_from
from protect.verify.attackers.train import train
from protect.verify.countermeasures.base import Regime
from protect.verify.runs.data import Data, scaled
from protect.verify.runs.plan import Plan

STEPS = 4  # in each of two epochs, of which the first only warms up
FITTED = 128  # pairs that an attacker without steps is fitted on to be timed


@dataclass
class Stopwatch:
    """Expected seconds of plans; each way of training is timed when it is first asked for."""

    data: Data
    settings: VerifySettings
    jobs: int
    _timed: dict[tuple[str, Regime], tuple[float, float]] = field(default_factory=dict)

    def seconds(self, plan: Plan) -> float:
        """Of all trainings in the plan, spread over the jobs."""
        total, pairs = 0.0, len(self.data.first.clean)
        count = pairs if plan.pairs is None else min(plan.pairs, pairs)
        for row in plan.rows:
            for attacker in self.data.sizes:
                if not learns_from(attacker, row.regime):
                    continue
                step, judge = self._times(attacker, replace(row.regime, times=1))
                epochs, steps = plan.epochs * row.regime.times, count // (row.regime.batch or self.settings.batch)
                judge *= 1 + row.transforms_test
                if is_fitted(attacker):
                    epochs, steps = 1, count // STEPS
                total += plan.seeds * (epochs * (steps * step + judge) + judge)
        return total / self.jobs

    def _times(self, attacker: str, regime: Regime) -> tuple[float, float]:
        """Seconds of a step, and of judging once."""
        way = (attacker, regime)
        if way not in self._timed:
            size, begin = scaled(self.data.sizes[attacker], regime), perf_counter()
            short = replace(regime.applied(self.settings, size), epochs=2)
            pairs, test = self.data.materials[size].clean, self.data.judged[size]
            short = replace(short, batch=min(short.batch, len(pairs)))
            if is_fitted(attacker):
                pairs, short = pairs.select(range(min(FITTED, len(pairs)))), replace(short, batch=2)
            results = list(train(pairs, test, attacker, short, 0, STEPS, regime.defence))
            judging = perf_counter() - begin - sum(result.seconds for result in results)
            steps = len(pairs) / STEPS if is_fitted(attacker) else STEPS  # a fit is timed as steps of so many pairs
            self._timed[way] = (results[-1].seconds / steps, max(0.0, judging / len(results)))
        return self._timed[way]
