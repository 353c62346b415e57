"""How much faster MEM is here than as published: one process, same data, weights, threads and work.

    python benchmarks/mem_speed.py --models RN50,ViT-B-32 --batch 16
    python benchmarks/mem_speed.py --models tiny-resnet,tiny-vit --batch 128

For each step the images a second of both, their ratio, what the step costs us in arithmetic and which share of the
fastest matrix product of this run that is, and the loss before and after, judged in fp32. A round is the published
one for Flickr8k: 200 surrogate batches, then words and noise of 234. `--clock cpu` counts processor time (of one
thread, that is without waiting), for a machine that does other things beside.
"""

import argparse
import time
from collections.abc import Callable
from typing import Any

import torch
from common import DATA, ROOT, own_peak_mb, save, table
from mem_baseline import Baseline
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from protect.clip.device import choose_device
from protect.clip.fast.packed import PackedLinear, can_pack
from protect.data.shards import find_shards
from protect.jobs.fit import fill_window
from protect.methods.mem_settings import MemSettings
from protect.methods.parts.budget import Budget
from protect.methods.parts.error_min import Minimiser
from protect.methods.parts.noise import SampleWise
from protect.methods.parts.trigger import draw_choice
from protect.methods.parts.wordlist import draw_alphabet
from protect.methods.recipe import Recipe
from protect.settings.publish import PublishSettings
from protect.settings.recipe import FitSettings, TriggerSettings
from protect.types import Batch

ROUND = {"surrogate": 200, "text": 234, "image": 234}  # batches of 128 in a round on Flickr8k's 30,000 pairs
CLOCKS = {"wall": time.perf_counter, "cpu": time.process_time}


class Bench:
    """One surrogate, one batch of real pairs, and both ways to work on them."""

    def __init__(self, model: str, settings: argparse.Namespace) -> None:
        self.recipe = Recipe(
            FitSettings("mem", (model,), size=settings.size, window=settings.batch, batch=settings.batch,
                        precision=settings.precision),
            TriggerSettings(settings.words, settings.style, alphabet=settings.alphabet),
            own=MemSettings(steps=settings.steps, candidates=settings.candidates, learning_rate=1e-4),
        )  # fmt: skip
        window = fill_window(find_shards([settings.data]), self.recipe, PublishSettings())
        if len(window) < settings.batch:
            raise SystemExit(f"--batch: expected at most the {len(window)} pairs of {settings.data}")
        alphabet = draw_alphabet(settings.words, settings.alphabet, 0)
        self.first = draw_choice(window.keys, alphabet, 0)
        noise, device = SampleWise(window, Budget(8.0)), choose_device("auto")
        self.ours = Minimiser(window, self.recipe, alphabet, self.first.clone(), noise, True, device, str)
        self.ours.start_surrogate(0)
        self.baseline = Baseline(self.ours.surrogate)
        self.rows = torch.arange(settings.batch)
        self.batch: Batch = self.ours._batch(self.rows)
        self.noise = torch.zeros_like(self.batch.images)
        self.losses: dict[tuple[str, str], float] = {}

    def again(self) -> None:
        """Words, noise and random numbers as at the start."""
        self.ours.random.manual_seed(0)
        self.ours.choice = self.first.clone()
        self.ours.window.store_noise(self.rows, torch.zeros(self.batch.images.shape, dtype=torch.int8))

    def tokens(self, permute: bool = False) -> Tensor:
        """Rows as the tool draws them, so that both work on the same ones."""
        return self.ours.tokens(self.batch, self.ours.choice[self.rows], permute)

    @torch.no_grad()
    def loss(self, noise: Tensor, tokens: Tensor) -> float:
        """The batch's loss as the plain fp32 model sees it."""
        self.baseline.model.eval()
        return self.baseline.loss(self.batch.images + noise / 255, tokens).item()

    def judge(self, step: str, who: str, result: Any) -> None:
        """Keeps the loss after a step that words or noise come from; the captions are the ones of the start."""
        if step != "surrogate":
            noise = self.noise
            if step == "image":
                noise = result if who == "baseline" else self.ours.window.noise(self.rows)
            self.ours.random.manual_seed(0)
            self.losses[step, who] = self.loss(
                noise, result if (step, who) == ("text", "baseline") else self.tokens()
            )

    def steps(self) -> dict[str, tuple[Callable[[], Any], Callable[[], Any]]]:
        """The baseline's and our form of each step."""
        ids, own = self.ours.lexicon.ids.to(self.batch.images.device), self.recipe.own
        return {
            "text": (
                lambda: self.baseline.text_step(self.batch.images, self.tokens(), ids, own.candidates),
                lambda: self.ours.search_words(self.rows),
            ),
            "image": (
                lambda: self.baseline.image_step(
                    self.batch.images, self.noise, lambda: self.tokens(permute=True), own.steps, 8.0
                ),
                lambda: self.ours.move_noise(self.rows),
            ),
            "surrogate": (
                lambda: self.baseline.surrogate_step(self.batch.images, self.tokens()),
                lambda: self.ours.learn([self.rows]),
            ),
        }


def main() -> None:
    settings = options()
    if settings.threads:
        torch.set_num_threads(settings.threads)
    clock = CLOCKS[settings.clock]
    limits = matrix_rates(clock, settings.limit_side)
    print(table([{"best matrix product": kind, "GFLOP/s": rate / 1e9} for kind, rate in limits.items()]))
    rows: list[dict[str, Any]] = []
    for model in settings.models.split(","):
        rows += measure(model, settings, clock, limits)
        print(table([row for row in rows if row["model"] == model]), flush=True)
    result = {"limits": limits, "rows": rows}
    print(save(settings.name, vars(settings), result).relative_to(ROOT))


def options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", default="RN50,ViT-B-32")
    parser.add_argument("--size", type=int, default=0, help="pixels (0: the model's own)")
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--words", type=int, default=3)
    parser.add_argument("--style", default="prefix")
    parser.add_argument("--alphabet", type=int, default=0, help="words to choose from (0: all)")
    parser.add_argument("--candidates", type=int, default=16)
    parser.add_argument("--steps", type=int, default=8)
    parser.add_argument("--only", default="text,image,surrogate", help="steps to time; all are needed for a round")
    parser.add_argument("--precision", default="auto", help="ours: auto, fp32 or bf16")
    parser.add_argument("--threads", type=int, default=0)
    parser.add_argument("--clock", choices=list(CLOCKS), default="wall")
    parser.add_argument("--limit-side", type=int, default=2048, help="largest matrix of the limit's measurement")
    parser.add_argument("--data", default=str(DATA / "flickr8k-mini"))
    parser.add_argument("--name", default="mem_speed")
    return parser.parse_args()


def measure(
    model: str, settings: argparse.Namespace, clock: Callable[[], float], limits: dict[str, float]
) -> list[dict[str, Any]]:
    """One row a step, and one for the round."""
    bench, chosen = Bench(model, settings), settings.only.split(",")
    need, best = needed(bench, settings), max(limits.values())
    rows: list[dict[str, Any]] = []
    peaks = {}
    for which, name in (
        (1, "ours"),
        (0, "baseline"),
    ):  # the smaller peak first: the process only remembers the largest
        for step in chosen:
            bench.again()
            bench.losses.setdefault((step, "before"), bench.loss(bench.noise, bench.tokens()))
            bench.again()
            frozen = step != "surrogate"
            bench.ours.freeze() if frozen else bench.ours.surrogate.train()
            seconds, found = timed(bench.steps()[step][which], clock, warm=bool(which), again=bench.again)
            bench.judge(step, name, found)
            rows.append({"model": model, "step": step, "who": name, "seconds": seconds})
        peaks[name] = own_peak_mb()
    seconds = {(row["step"], row["who"]): row["seconds"] for row in rows}
    if set(chosen) == set(ROUND):
        for who in ("ours", "baseline"):
            seconds["round", who] = sum(count * seconds[step, who] for step, count in ROUND.items())
    return [
        {
            "model": model,
            "step": step,
            "baseline images/s": images / seconds[step, "baseline"],
            "ours images/s": images / seconds[step, "ours"],
            "ratio": seconds[step, "baseline"] / seconds[step, "ours"],
            "GFLOP/image": need[step] / 1e9 if step in need else None,
            "share of limit": need[step] * settings.batch / seconds[step, "ours"] / best if step in need else None,
            **{f"loss {when}": bench.losses.get((step, when)) for when in ("before", "baseline", "ours")},
            "peak MB": peaks["ours"],
            "peak MB, baseline": peaks["baseline"],
        }
        for step in (*chosen, *(["round"] if ("round", "ours") in seconds else []))
        for images in [settings.batch * (ROUND["text"] if step == "round" else 1)]
    ]


def timed(
    work: Callable[[], Any], clock: Callable[[], float], warm: bool, again: Callable[[], None] = lambda: None
) -> tuple[float, Any]:
    """Seconds and result of one call; of the second where the first is cheap enough to be thrown away."""
    if warm:
        work()
        again()
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    begin = clock()
    result = work()
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return clock() - begin, result


def needed(bench: Bench, settings: argparse.Namespace) -> dict[str, float]:
    """Our arithmetic an image in each step: counted forwards; a gradient by the input costs another, a whole one two.

    Less than the towers' own forwards: what is not read of their last layers is left out.
    """
    surrogate = bench.ours.surrogate.eval()  # norms in training would remember these pictures
    kind, surrogate.autocast_type = surrogate.autocast_type, None
    image = flops(lambda: surrogate.images(bench.batch.images[:1]))
    tokens = bench.tokens()
    lengths = (tokens.argmax(dim=-1) + 1).float()
    token = flops(lambda: surrogate.text(tokens[:1])) / lengths[0].item()
    surrogate.autocast_type, length = kind, lengths.mean().item()
    options = settings.candidates * sum(length - 1 - p for p in range(settings.words))  # what follows each word
    return {
        "text": image + token * (2 * length + options),
        "image": settings.steps * (2 * image + token * length),
        "surrogate": 3 * (image + token * length),
    }


@torch.no_grad()
def flops(work: Callable[[], Any]) -> float:
    with FlopCounterMode(display=False) as counter:
        work()
    return float(counter.get_total_flops())


def matrix_rates(clock: Callable[[], float], largest: int) -> dict[str, float]:
    """Best rate of a matrix product, by type; packed: of one whose second matrix was laid out for it before."""
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    rates = {
        str(kind).removeprefix("torch."): best_rate(kind, device, clock, largest, lambda a: lambda: a @ a)
        for kind in (torch.float32, torch.bfloat16)
    }
    if device.type == "cpu" and can_pack():
        rates["bfloat16, packed"] = best_rate(torch.bfloat16, device, clock, largest, packed_product)
    return rates


def packed_product(a: Tensor) -> Callable[[], Tensor]:
    packed = PackedLinear(a, None)
    return lambda: packed(a)


def best_rate(
    kind: torch.dtype,
    device: torch.device,
    clock: Callable[[], float],
    largest: int,
    product: Callable[[Tensor], Callable[[], Tensor]],
) -> float:
    """Larger ones are tried while they stay cheap."""
    best, side = 0.0, 256
    while side <= largest:
        work = product(torch.ones(side, side, dtype=kind, device=device))
        seconds = min(timed(lambda: work()[0, 0].item(), clock, warm=False)[0] for _ in range(3))  # noqa: B023
        best = max(best, 2 * side**3 / seconds)
        if seconds > 0.2:
            break
        side *= 2
    return best


if __name__ == "__main__":
    main()
