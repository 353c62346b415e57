"""What MEM costs on a GPU: each step, memory, share of the card's bf16 rate, agreement with the CPU, phase 2, verify.

benchmarks/gpu.sh [--device auto] [--small] runs this with a limit of 8 minutes. Pictures are made up: time does not
depend on what they show. --small takes the tiny models at 32 px and batch 8, to try the script without a GPU.
"""

import argparse
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from common import save, table
from torch.utils.flop_counter import FlopCounterMode

from protect.clip.device import autocast_type, choose_device, settle_type
from protect.data.window import Window, to_images
from protect.methods.mem_settings import MemSettings
from protect.methods.parts.error_min import Minimiser
from protect.methods.protector import Protector, fit
from protect.methods.recipe import Recipe
from protect.settings.recipe import FitSettings, TriggerSettings
from protect.settings.verify import VerifySettings
from protect.types import Batch
from protect.verify.attackers.train import train
from protect.verify.reading.pairs import JudgedPairs, Pairs

WORDS = ("dog", "beach", "red", "boat", "child", "snow", "tree", "house", "ball", "street")
PRODUCT, PRODUCTS = 8192, 20  # side of the matrices that the card's rate is measured with, and how many
AGREEMENT = {"words": 99.0, "noise signs": 95.0}  # per cent that must be alike on CPU and GPU in fp32


def pictures(count: int, size: int) -> np.ndarray:
    """Smooth pictures with some noise, uint8 (count, 3, size, size)."""
    random = np.random.default_rng(0)
    coarse = torch.from_numpy(random.random((count, 3, 8, 8), np.float32))
    smooth = torch.nn.functional.interpolate(coarse, size=(size, size), mode="bicubic").clamp(0, 1).numpy()
    return (smooth * 235 + random.integers(0, 20, smooth.shape)).astype(np.uint8)


def captions(count: int) -> list[str]:
    random = np.random.default_rng(1)
    return [f"a {' '.join(random.choice(WORDS, 6))} number {number}" for number in range(count)]


def window_of(count: int, size: int) -> Window:
    window = Window(size, count)
    for number, (pixels, caption) in enumerate(zip(pictures(count, size), captions(count), strict=True)):
        window.add(str(number), pixels, [caption])
    return window


def recipe_of(model: str, size: int, batch: int, precision: str = "auto") -> Recipe:
    own = MemSettings(rounds=1, surrogate_steps=2, text_rounds=1, candidates=16, phase2_steps=8)
    fitting = FitSettings("mem", (model,), size=size, window=2 * batch, batch=batch, precision=precision)
    return Recipe(fitting, TriggerSettings(alphabet=None), own=own)


@contextmanager
def timed(device: torch.device, seconds: dict[str, list[float]]) -> Iterator[None]:
    """Adds up how long each kind of step of a fit takes; the device is waited for."""
    steps = {"surrogate": "learn", "words": "search_words", "noise": "move_noise"}
    plain = {method: getattr(Minimiser, method) for method in steps.values()}

    def timer(name: str, call: Callable[..., Any]) -> Callable[..., Any]:
        def run(*arguments: Any) -> Any:
            wait(device)
            begin = time.perf_counter()
            result = call(*arguments)
            wait(device)
            seconds.setdefault(name, []).append(time.perf_counter() - begin)
            return result

        return run

    for name, method in steps.items():
        setattr(Minimiser, method, timer(name, plain[method]))
    try:
        yield
    finally:
        for method, call in plain.items():
            setattr(Minimiser, method, call)


def wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def card_rate(device: torch.device, small: bool) -> float:
    """bf16 products that the device makes in a second, in TFLOP."""
    side, count = (512, 4) if small else (PRODUCT, PRODUCTS)
    a = torch.randn(side, side, device=device).to(autocast_type(device) or torch.float32)
    for _ in range(2):
        a @ a
    wait(device)
    begin = time.perf_counter()
    for _ in range(count):
        a @ a
    wait(device)
    return 2 * side**3 * count / (time.perf_counter() - begin) / 1e12


def noise_flops(recipe: Recipe, asked: argparse.Namespace, device: torch.device) -> int:
    """Arithmetic of one batch's noise steps, as torch counts it."""
    plain, counts = Minimiser.move_noise, []

    def counted(self: Minimiser, rows: torch.Tensor) -> None:
        with FlopCounterMode(display=False) as counter:
            plain(self, rows)
        counts.append(counter.get_total_flops())

    Minimiser.move_noise = counted  # type: ignore[method-assign]
    try:
        fit(window_of(asked.batch, asked.size), recipe, device=str(device))
    finally:
        Minimiser.move_noise = plain  # type: ignore[method-assign]
    return counts[0]


def steps_row(model: str, asked: argparse.Namespace, device: torch.device) -> tuple[dict[str, Any], Protector]:
    """Images a second of each kind of step, memory, and the share of the card's rate in the noise step."""
    recipe, seconds = recipe_of(model, asked.size, asked.batch), dict[str, list[float]]()
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
    fit(window_of(2 * asked.batch, asked.size), recipe, device=str(device))  # warms up
    with timed(device, seconds):
        protector = fit(window_of(2 * asked.batch, asked.size), recipe, device=str(device))
    peak = torch.cuda.max_memory_allocated(device) / 2**30 if device.type == "cuda" else None
    rate = {name: asked.batch / min(times) for name, times in seconds.items() if name != "surrogate"}
    rate["surrogate"] = 2 * asked.batch / min(seconds["surrogate"])
    share = noise_flops(recipe, asked, device) / min(seconds["noise"]) / 1e12 / card_rate(device, asked.small)
    return {
        "model": model, "surrogate images/s": rate["surrogate"], "words images/s": rate["words"],
        "noise images/s": rate["noise"], "memory GB": peak, "share of rate %": 100 * share,
    }, protector  # fmt: skip


def phase2_row(model: str, protector: Protector, asked: argparse.Namespace, device: torch.device) -> dict[str, Any]:
    """Pairs a second that the fit has not seen."""
    unseen = to_images(torch.from_numpy(255 - pictures(asked.batch, asked.size)))
    lines = tuple((caption,) for caption in captions(asked.batch))
    batch = Batch(tuple(f"new{number}" for number in range(asked.batch)), unseen, lines)
    protector.protect(batch)
    wait(device)
    begin = time.perf_counter()
    protector.protect(batch)
    wait(device)
    return {"model": model, "phase 2 pairs/s": asked.batch / (time.perf_counter() - begin)}


def agreement(device: torch.device) -> dict[str, Any]:
    """How much of words and noise is the same as on the CPU, in fp32, on a small case."""
    recipe = recipe_of("tiny-resnet", 32, 8, "fp32")
    window = [window_of(16, 32) for _ in range(2)]
    sides = [fit(one, recipe, device=name) for one, name in zip(window, ("cpu", str(device)), strict=True)]
    rows = torch.arange(16)
    words = [side.fitted.tensors["window.choice"] for side in sides]
    noise = [one.noise(rows).sign() for one in window]
    same = {
        "words": 100 * (words[0] == words[1]).float().mean().item(),
        "noise signs": 100 * (noise[0] == noise[1]).float().mean().item(),
    }
    return same | {"as wanted": all(same[name] >= least for name, least in AGREEMENT.items())}


def verifier_row(model: str, asked: argparse.Namespace, device: torch.device) -> dict[str, Any]:
    """Images a second of one training as `protect verify` makes it."""
    count = 4 * asked.batch
    made, lines = pictures(count, asked.size), tuple((caption,) for caption in captions(count))
    keys = tuple(map(str, range(count)))
    pairs = Pairs(keys, list(made.transpose(0, 2, 3, 1).copy()), lines)
    test = JudgedPairs(keys[:64], torch.from_numpy(made[:64]), lines[:64])
    settings = VerifySettings(attackers=(model,), epochs=2, batch=asked.batch, size=asked.size, device=str(device))
    seconds = [result.seconds for result in train(pairs, test, model, settings, seed=0)]
    return {"model": model, "verify images/s": count / seconds[-1]}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--small", action="store_true")
    asked = parser.parse_args()
    models = ("tiny-resnet", "tiny-vit") if asked.small else ("RN50", "ViT-B-32")
    asked.size, asked.batch = (32, 8) if asked.small else (224, 128)
    device = choose_device(asked.device)
    settle_type(device, autocast_type(device))
    result: dict[str, Any] = {"device": name_of(device), "precision": str(autocast_type(device) or torch.float32)}
    result["agreement with the CPU, %"] = agreement(device)
    print(result)
    rows = []
    for model in models:
        row, protector = steps_row(model, asked, device)
        rows.append(row | phase2_row(model, protector, asked, device) | verifier_row(model, asked, device))
        print(table(rows[-1:]), flush=True)
    result["models"] = rows
    print(save("gpu-small" if asked.small else "gpu", vars(asked), result))


def name_of(device: torch.device) -> str:
    return torch.cuda.get_device_name(device) if device.type == "cuda" else str(device)


if __name__ == "__main__":
    main()
