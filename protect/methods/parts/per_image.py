"""Methods that make a noise for each image: rounds on a window, then what these made or steps on the surrogate."""

import hashlib
from collections.abc import Iterable

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from protect.clip.models import DualEncoder
from protect.clip.pack import pack
from protect.data.window import Window
from protect.methods.fitted import Fitted, Protect
from protect.methods.parts.budget import Budget, to_int8
from protect.methods.parts.checkpoint import Checkpoint
from protect.methods.parts.error_min import Minimiser, Report, surrogate_of
from protect.methods.parts.noise import SampleWise
from protect.methods.parts.phase2 import Phase2, Start, anchor_captions, anchors
from protect.methods.parts.trigger import Choice, Lexicon, words_of
from protect.methods.recipe import Recipe
from protect.types import Batch, Protection

ROUNDS = "rounds"  # the fact that says how many the fit took: a budget may have ended it early
SCANNED = 128  # pairs of the window read at a time


def fit_per_image(
    window: Window,
    recipe: Recipe,
    start: Fitted,
    choice: Choice,
    permute: bool,
    device: torch.device,
    report: Report,
    checkpoint: Checkpoint | None,
) -> Fitted:
    """Phase 1: the rounds of error minimisation, from the words of a start; the first noise stands in the window."""
    noise = SampleWise(window, Budget(recipe.noise.epsilon))
    rounds = Minimiser(window, recipe, start.alphabet, choice, noise, permute, device, report, checkpoint)
    surrogate = rounds.run()
    return fitted_per_image(surrogate, rounds.done, start, window, choice, recipe)


def fitted_per_image(
    surrogate: DualEncoder, rounds: int, start: Fitted, window: Window, choice: Choice, recipe: Recipe
) -> Fitted:
    """What phase 2 needs: its start, words and noise of the window's pairs, the surrogate, features of some pairs."""
    prints = [_print(key, view) for batch in _scan(window) for key, view in _views(batch)]
    tensors = {"window.prints": torch.tensor(prints), "window.choice": choice.to(torch.int32)}
    tensors |= anchors(Lexicon(surrogate, start.alphabet, recipe.trigger.style), window, choice)
    weights = surrogate.model.state_dict()
    tensors |= {f"surrogate.{name}": value.cpu().contiguous() for name, value in weights.items()}
    return Fitted(
        start.alphabet,
        start.tensors | tensors,
        start.facts | anchor_captions(window) | {ROUNDS: rounds},
        window.stored_noise(),
    )


def _scan(window: Window) -> Iterable[Batch]:
    return (window.batch(rows) for rows in torch.arange(len(window)).split(SCANNED))


def _views(batch: Batch) -> Iterable[tuple[str, np.ndarray]]:
    return zip(batch.keys, (batch.images.cpu() * 255).round().byte().numpy(), strict=True)


def _print(key: str, view: np.ndarray) -> int:
    """A number that stands for a key and its picture: another data set may have the same keys."""
    digest = hashlib.sha256(key.encode(errors="surrogatepass") + b"\0" + view.tobytes()).digest()
    return int.from_bytes(digest[:8], "big", signed=True)


class WindowLookup:
    """The pairs that phase 1 worked on, found by key and picture."""

    def __init__(self, fitted: Fitted) -> None:
        self.noise = fitted.noise
        self.prints, self.rows = fitted.tensors["window.prints"].sort(stable=True)
        self.choice = fitted.tensors["window.choice"].long()

    def find(self, batch: Batch) -> Int[Tensor, " batch"]:
        """The row of each pair of the batch, -1 for one that was not there."""
        if self.noise is None:
            return torch.full((len(batch),), -1)
        prints = torch.tensor([_print(key, view) for key, view in _views(batch)])
        place = torch.searchsorted(self.prints, prints).clamp(max=len(self.prints) - 1)
        return torch.where(self.prints[place] == prints, self.rows[place], -1)

    def take(self, rows: Int[Tensor, " batch"]) -> tuple[Float[Tensor, "batch 3 height width"], Choice]:
        """Noise in 255ths and words of these rows."""
        if self.noise is None:
            raise ValueError("protector: expected the noise of its window, found none; fit it again")
        return self.noise.read(rows).float(), self.choice[rows]


def per_image_protector(
    fitted: Fitted,
    recipe: Recipe,
    device: torch.device,
    start: Start,
    permute: bool,
) -> Protect:
    """A stateless function of a batch: pairs of the window get what phase 1 made for them, others something new."""
    rounds = fitted.facts.get(ROUNDS, recipe.own.rounds)  # protectors of before there was a budget do not say it
    surrogate = surrogate_of(recipe, rounds - 1, device)
    weights = {k.removeprefix("surrogate."): v for k, v in fitted.tensors.items() if k.startswith("surrogate.")}
    surrogate.model.load_state_dict(weights)
    surrogate.eval().requires_grad_(False)
    pack(surrogate)
    window, phase2 = WindowLookup(fitted), Phase2(surrogate, fitted, recipe, start, permute)
    budget = Budget(recipe.noise.epsilon)

    def protect(batch: Batch) -> Protection:
        rows = window.find(batch)
        noise = torch.zeros_like(batch.images)
        choice = torch.zeros(len(batch), len(fitted.alphabet), dtype=torch.long)
        if (seen := rows >= 0).any():
            noise[seen], choice[seen] = window.take(rows[seen])
        if not seen.all():
            noise[~seen], choice[~seen] = phase2.make(_part(batch, ~seen))
        noise = budget.project(batch.images, noise)
        return Protection(batch.keys, to_int8(noise).cpu(), words_of(fitted.alphabet, choice))

    return protect


def _part(batch: Batch, chosen: Tensor) -> Batch:
    rows = chosen.nonzero().squeeze(1).tolist()
    return Batch(
        tuple(batch.keys[i] for i in rows), batch.images[rows], tuple(batch.captions[i] for i in rows)
    )  # fmt: skip
