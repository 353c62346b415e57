"""One attacker: a CLIP trained on published pairs and judged on clean ones after every epoch."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from math import ceil, isfinite
from pathlib import Path
from time import perf_counter

import numpy as np
import torch
from jaxtyping import Float, Int
from PIL import Image
from torch import Tensor

from protect.clip.models import DualEncoder, choose_device, load_encoder, optimizer, own_size
from protect.clip.retrieval import ranks
from protect.seeds import derive, generator
from protect.settings.verify import VerifySettings
from protect.types import Images, Pixels
from protect.verify.attackers import tiny_hf
from protect.verify.attackers.classification import classification
from protect.verify.countermeasures.augmentation import VIEWS
from protect.verify.defences import DEFENCES, StepInputs
from protect.verify.reading.pairs import JudgedPairs, Pairs
from protect.verify.records import RECALL, EpochResult, Pictures, judged_by

TEST_BATCH = 256
DIGITS = 5  # of what is stored of each test picture
View = Callable[[Image.Image], Image.Image]
Rows = list[list[tuple[int, ...]]]  # token ids of every caption, by picture


def attacker_size(name: str, settings: VerifySettings) -> int:
    """Side of the pictures that an attacker takes; raises ValueError for names that are no model."""
    warm_folder = Path(name).is_dir() and settings.pretrained is not None
    own = tiny_hf.SIZE if name == tiny_hf.NAME else own_size(name)
    return own if warm_folder else settings.size or own


def new_attacker(name: str, settings: VerifySettings, seed: int, captions: Sequence[str] = ()) -> DualEncoder:
    """A network to train: untrained, or with the weights that `settings.pretrained` names.

    captions: those of the training, from which tiny-hf learns its tokenizer. A Hugging Face folder gives its
    architecture and tokenizer; its weights only when `pretrained` is set to anything.
    Raises ValueError for names that are no model and weights that do not fit.
    """
    device, weights = choose_device(settings.device), derive(seed, "weights", name)
    if name == tiny_hf.NAME:
        if settings.pretrained is not None:
            raise ValueError(f"pretrained: expected attackers that can have weights, got {name}; leave it out")
        with seeded(device, weights):
            return tiny_hf.tiny_hf(captions, device, settings.size)
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
    adamw, total = optimizer(model, settings.learning_rate, settings.weight_decay), steps * settings.epochs
    schedule = torch.optim.lr_scheduler.OneCycleLR(adamw, settings.learning_rate, total_steps=total)
    rows, look = encoded(model, pairs), VIEWS[settings.augment](model.size)
    asked = [one for one in (test, transformed) if one is not None]
    queries = [[row for rows in encoded(model, one) for row in rows] for one in asked]

    def result(epoch: int, loss: float | None, seconds: float) -> EpochResult:
        judged = [judge(model, *one) for one in zip(asked, queries, strict=True)]
        _, pictures = max(judged, key=lambda one: judged_by(one[0], RECALL))
        metrics, changed = judged[0][0], judged[1][0] if transformed is not None else {}
        return EpochResult(epoch, loss, metrics, seconds, changed, pictures)

    yield result(0, None, 0.0)
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
        yield result(epoch, loss, perf_counter() - begin)


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


def encoded(model: DualEncoder, pairs: Pairs | JudgedPairs) -> Rows:
    return [[model.encode(caption) for caption in captions] for captions in pairs.captions]


def one_each(rows: Rows, chosen: Int[Tensor, " batch"], random: torch.Generator) -> list[tuple[int, ...]]:
    """One caption for each chosen picture, drawn from its own."""
    draws = torch.rand(len(chosen), generator=random).tolist()
    return [rows[i][int(draw * len(rows[i]))] for i, draw in zip(chosen.tolist(), draws, strict=True)]


def seen(pairs: Pairs, chosen: Sequence[int], look: View, device: torch.device) -> Images:
    """Pictures through a view."""
    views = np.stack([np.asarray(look(Image.fromarray(pairs.pictures[i]))) for i in chosen])
    return to_floats(torch.from_numpy(views).permute(0, 3, 1, 2), device)


def to_floats(pixels: Pixels, device: torch.device) -> Images:
    return pixels.to(device).float().div_(255)


@torch.inference_mode()
def judge(model: DualEncoder, test: JudgedPairs, rows: list[tuple[int, ...]]) -> tuple[dict[str, float], Pictures]:
    """Retrieval and classes by the model in eval mode, and by picture; `rows` are all encoded test captions."""
    model.eval()
    images = [model.images(to_floats(part, model.device)) for part in test.images.split(TEST_BATCH)]
    parts = [rows[i : i + TEST_BATCH] for i in range(0, len(rows), TEST_BATCH)]
    texts = [model.text(model.rows(part)) for part in parts]
    features, owner = (torch.cat(images), torch.cat(texts)), test.owner.to(model.device)
    places, classified = ranks(*features, owner), classification(*features, owner, test.labels)
    by_picture = ([round(value, DIGITS) for value in part.tolist()] for part in (places.hits(), places.percentiles()))
    return places.metrics() | classified, Pictures(*map(tuple, by_picture))


@torch.inference_mode()
def similarities(model: DualEncoder, pairs: Pairs, rows: Rows) -> Float[Tensor, " pairs"]:
    """Cosine of every picture, seen without chance, and its first caption; leaves the model in eval mode."""
    model.eval()
    look, cosines = VIEWS["none"](model.size), []
    for chosen in torch.arange(len(pairs)).split(TEST_BATCH):
        images = model.images(seen(pairs, chosen.tolist(), look, model.device))
        texts = model.text(model.rows([rows[i][0] for i in chosen.tolist()]))
        cosines.append((images * texts).sum(1))
    return torch.cat(cosines)
