"""One attacker: a CLIP trained on published pairs and judged on clean ones after every epoch."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from math import ceil, isfinite
from pathlib import Path
from time import perf_counter

import torch
from jaxtyping import Int
from torch import Tensor

from protect.clip.models import DualEncoder, choose_device, load_encoder, optimizer, own_size
from protect.seeds import derive, generator
from protect.settings.verify import VerifySettings
from protect.verify.attackers.built_in import BUILT_IN
from protect.verify.attackers.judging import Judge, Rows, encoded, seen, similarities
from protect.verify.countermeasures.augmentation import VIEWS
from protect.verify.defences import DEFENCES, StepInputs
from protect.verify.reading.pairs import JudgedPairs, Pairs
from protect.verify.records import EpochResult


def attacker_size(name: str, settings: VerifySettings) -> int:
    """Side of the pictures that an attacker takes; ValueError for names that are no model, ImportError for extras."""
    warm_folder = Path(name).is_dir() and settings.pretrained is not None
    if name in BUILT_IN:
        BUILT_IN[name].check()
    own = BUILT_IN[name].size if name in BUILT_IN else own_size(name)
    return own if warm_folder else settings.size or own


def new_attacker(name: str, settings: VerifySettings, seed: int, captions: Sequence[str] = ()) -> DualEncoder:
    """A network to train: untrained, or with the weights that `settings.pretrained` names.

    captions: those of the training, from which tiny-hf learns its tokenizer. A Hugging Face folder gives its
    architecture and tokenizer; its weights only when `pretrained` is set to anything.
    Raises ValueError for names that are no model and weights that do not fit.
    """
    device, weights = choose_device(settings.device), derive(seed, "weights", name)
    if name in BUILT_IN:
        if settings.pretrained is not None:
            raise ValueError(f"pretrained: expected attackers that can have weights, got {name}; leave it out")
        with seeded(device, weights):
            return BUILT_IN[name].build(captions, device, settings.size)
    scratch = settings.pretrained is None
    return load_encoder(name, device, settings.pretrained, settings.size, weights, scratch)


def train(
    pairs: Pairs,
    test: JudgedPairs,
    name: str,
    settings: VerifySettings,
    seed: int,
    steps: int | None = None,
    defence: str | None = None,
    transformed: JudgedPairs | None = None,
) -> Iterator[EpochResult]:
    """Yields the network's result before any training as epoch 0, then one result an epoch.

    The recipe: AdamW (no decay on vectors), one-cycle learning rate, fp32 or autocast as the device likes. An
    epoch is `steps` batches (None: as many whole ones as there are pairs for), from a fresh order; an image with
    several captions brings one of them, and is seen through the view `settings.augment`, both drawn anew each time.
    defence: one of DEFENCES, None for plain training. transformed: the test pairs in another form, on which the
    network is judged as well. The same seed gives the same numbers.
    An attacker that does not train by steps is fitted once and gives one result.
    Raises ValueError when there are fewer pairs than a batch, or the loss stops being a number.
    """
    if len(pairs) < settings.batch:
        raise ValueError(f"batch: expected at most the arm's {len(pairs)} pairs, got {settings.batch}; lower it")
    model = new_attacker(name, settings, seed, [caption for lines in pairs.captions for caption in lines])
    if model.size != test.images.shape[-1]:
        raise ValueError(
            f"size: expected a model that takes {test.images.shape[-1]} pixels, {name} takes {model.size}"
        )
    with seeded(model.device, derive(seed, "defence", defence or "")):
        teacher = DEFENCES[defence](model, settings)
    steps = steps or len(pairs) // settings.batch
    rate, total = settings.learning_rate * (BUILT_IN[name].rate if name in BUILT_IN else 1), steps * settings.epochs
    adamw = optimizer(model, rate, settings.weight_decay)
    schedule = torch.optim.lr_scheduler.OneCycleLR(adamw, rate, total_steps=total)
    rows, look = encoded(model, pairs), VIEWS[settings.augment](model.size)
    judge = Judge(model, test, transformed)
    yield judge.result(0, None, 0.0)
    if name in BUILT_IN and (fit := BUILT_IN[name].fit) is not None:
        begin = perf_counter()
        with seeded(model.device, derive(seed, "views", 1)):
            fit(model, pairs, rows, look)
        yield judge.result(1, None, perf_counter() - begin)
        return
    for epoch in range(1, settings.epochs + 1):
        begin, losses = perf_counter(), torch.zeros((), device=model.device)
        random = generator(seed, "batches", epoch)
        with seeded(model.device, derive(seed, "views", epoch)):
            teacher.begin(epoch, lambda: similarities(model, pairs, rows))
            model.train()
            for step, chosen in enumerate(batches(len(pairs), settings.batch, steps, random)):
                captions = one_each(rows, chosen, random)
                images = seen(pairs, chosen.tolist(), look, model.device)
                done = ((epoch - 1) * steps + step) / total
                losses += teacher.step(adamw, StepInputs(chosen, images, captions, done))
                schedule.step()
        loss = (losses / steps).item()
        if not isfinite(loss):
            raise ValueError(
                f"attacker {name}, epoch {epoch}: expected a finite loss, got {loss}; lower learning_rate"
            )
        yield judge.result(epoch, loss, perf_counter() - begin)


@contextmanager
def seeded(device: torch.device, seed: int) -> Iterator[None]:
    """torch's global generators set to a seed, and back as they were afterwards."""
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        torch.manual_seed(seed)
        yield


def batches(count: int, batch: int, steps: int, random: torch.Generator) -> Int[Tensor, "steps batch"]:
    """Pair numbers for every step: one order of the pairs, or as many as the steps need."""
    orders = [torch.randperm(count, generator=random) for _ in range(ceil(steps * batch / count))]
    return torch.cat(orders)[: steps * batch].view(steps, batch)


def one_each(rows: Rows, chosen: Int[Tensor, " batch"], random: torch.Generator) -> list[tuple[int, ...]]:
    """One caption for each chosen picture, drawn from its own."""
    draws = torch.rand(len(chosen), generator=random).tolist()
    return [rows[i][int(draw * len(rows[i]))] for i, draw in zip(chosen.tolist(), draws, strict=True)]
