"""Peak memory and processor time of one noise step and one word step on a frozen surrogate, without the baseline.

python benchmarks/step_memory.py --models RN50 --batch 128 --steps 1 --candidates 2 --name step_memory
"""

import resource
from collections.abc import Callable
from typing import Any

import torch
from common import ROOT, own_peak_mb, save, table
from mem_speed import Bench, options


def main() -> None:
    settings = options()
    if settings.threads:
        torch.set_num_threads(settings.threads)
    bench = Bench(settings.models, settings)
    del bench.baseline
    bench.ours.freeze()
    rows: list[dict[str, Any]] = [{"step": "start", "user s": None, "system s": None, "peak MB": own_peak_mb()}]
    rows.append(measured("image", lambda: bench.ours.move_noise(bench.rows)))
    rows.append(measured("text", lambda: bench.ours.search_words(bench.rows)))
    print(table(rows))
    print(save(settings.name, vars(settings), rows).relative_to(ROOT))


def measured(step: str, work: Callable[[], Any]) -> dict[str, Any]:
    before = resource.getrusage(resource.RUSAGE_SELF)
    work()
    after = resource.getrusage(resource.RUSAGE_SELF)
    return {
        "step": step,
        "user s": after.ru_utime - before.ru_utime,
        "system s": after.ru_stime - before.ru_stime,
        "peak MB": own_peak_mb(),
    }


if __name__ == "__main__":
    main()
