"""One attacker: a CLIP trained from scratch on published pairs and judged on clean ones after every epoch."""

from collections.abc import Iterator
from math import ceil, isfinite
from pathlib import Path
from time import perf_counter

import torch
from jaxtyping import Float, Int
from torch import Tensor

from protect.losses import clip_loss
from protect.metrics import retrieval
from protect.seeds import derive, generator
from protect.settings import VerifySettings
from protect.surrogate import Surrogate, choose_device, load_surrogate
from protect.types import Images, Pixels, Tokens
from protect.verify.pairs import Pairs
from protect.verify.result import EpochResult

TEST_BATCH = 256


def new_attacker(name: str, settings: VerifySettings, seed: int) -> Surrogate:
    """An untrained network; raises ValueError for names that are no model, or hold weights already."""
    if Path(name).is_dir():
        raise ValueError(
            f"attackers: expected models to train from scratch, got the folder {name} of a trained one; "
            "name tiny-resnet, tiny-vit or an open_clip model"
        )
    weights = derive(seed, "weights", name)
    return load_surrogate(name, choose_device(settings.device), size=settings.size, seed=weights)


def train(
    pairs: Pairs, test: Pairs, name: str, settings: VerifySettings, seed: int, steps: int = 0
) -> Iterator[EpochResult]:
    """Yields the untrained network's result as epoch 0, then one result an epoch.

    The recipe: AdamW (no decay on vectors), one-cycle learning rate, fp32 or autocast as the device likes, no
    augmentation. An epoch is `steps` batches (0: as many whole ones as there are pairs for), from a fresh
    order; an image with several captions brings one of them, drawn anew each time.
    Raises ValueError when there are fewer pairs than a batch, or the loss stops being a number.
    """
    if len(pairs) < settings.batch:
        raise ValueError(f"batch: expected at most the arm's {len(pairs)} pairs, got {settings.batch}; lower it")
    model = new_attacker(name, settings, seed)
    steps = steps or len(pairs) // settings.batch
    optimizer, schedule = _optimizer(model, settings, steps)
    rows, test_rows = _encode(model, pairs), [row for rows in _encode(model, test) for row in rows]
    yield EpochResult(0, None, judge(model, test, test_rows), 0.0)
    for epoch in range(1, settings.epochs + 1):
        begin, total = perf_counter(), torch.zeros((), device=model.device)
        random = generator(seed, "batches", epoch)
        model.train()
        for chosen in _batches(len(pairs), settings.batch, steps, random):
            picks = torch.rand(len(chosen), generator=random).tolist()
            captions = [rows[i][int(p * len(rows[i]))] for i, p in zip(chosen.tolist(), picks, strict=True)]
            images = to_floats(pairs.images[chosen], model.device)
            total += train_step(model, optimizer, images, model.rows(captions))
            schedule.step()
        loss = (total / steps).item()
        if not isfinite(loss):
            raise ValueError(
                f"attacker {name}, epoch {epoch}: expected a finite loss, got {loss}; lower learning_rate"
            )
        seconds = perf_counter() - begin
        yield EpochResult(epoch, loss, judge(model, test, test_rows), seconds)


def train_step(
    model: Surrogate, optimizer: torch.optim.Optimizer, images: Images, tokens: Tokens
) -> Float[Tensor, ""]:
    """One step of contrastive training; returns the loss before it."""
    loss = clip_loss(model.images(images), model.text(tokens), model.scale)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    return loss.detach()


@torch.inference_mode()
def judge(model: Surrogate, test: Pairs, rows: list[tuple[int, ...]]) -> dict[str, float]:
    """Retrieval of the model in eval mode; `rows` are the encoded captions of all test images, in order."""
    model.eval()
    images = [model.images(to_floats(part, model.device)) for part in test.images.split(TEST_BATCH)]
    parts = [rows[i : i + TEST_BATCH] for i in range(0, len(rows), TEST_BATCH)]
    texts = [model.text(model.rows(part)) for part in parts]
    return retrieval(torch.cat(images), torch.cat(texts), test.owner.to(model.device))


def to_floats(pixels: Pixels, device: torch.device) -> Images:
    return pixels.to(device).float().div_(255)


def _optimizer(
    model: Surrogate, settings: VerifySettings, steps: int
) -> tuple[torch.optim.Optimizer, torch.optim.lr_scheduler.LRScheduler]:
    matrices = [p for p in model.parameters() if p.ndim > 1]
    vectors = [p for p in model.parameters() if p.ndim <= 1]
    groups = [
        {"params": matrices, "weight_decay": settings.weight_decay},
        {"params": vectors, "weight_decay": 0.0},
    ]
    optimizer = torch.optim.AdamW(groups, settings.learning_rate, fused=True)
    peak, total = settings.learning_rate, steps * settings.epochs
    return optimizer, torch.optim.lr_scheduler.OneCycleLR(optimizer, peak, total_steps=total)


def _batches(count: int, batch: int, steps: int, random: torch.Generator) -> Int[Tensor, "steps batch"]:
    """Pair numbers for every step: one order of the pairs, or as many as the steps need."""
    orders = [torch.randperm(count, generator=random) for _ in range(ceil(steps * batch / count))]
    return torch.cat(orders)[: steps * batch].view(steps, batch)


def _encode(model: Surrogate, pairs: Pairs) -> list[list[tuple[int, ...]]]:
    return [[model.encode(caption) for caption in captions] for captions in pairs.captions]
