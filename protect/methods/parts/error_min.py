"""Error minimisation on a window: the rounds that MEM and EM share."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import chain, count, islice

import torch
from torch import Tensor

from protect.clip.image_features import image_features
from protect.clip.losses import clip_loss
from protect.clip.models import DualEncoder, autocast_type, families, load_encoder, optimizer
from protect.clip.pack import pack, unpack
from protect.clip.text_features import text_features
from protect.data.window import Window
from protect.methods.parts.checkpoint import Checkpoint
from protect.methods.parts.contrast import InBatch
from protect.methods.parts.eot import through
from protect.methods.parts.hotflip import flip
from protect.methods.parts.noise import SampleWise
from protect.methods.parts.time_limit import TimeLimit
from protect.methods.parts.trigger import Choice, Lexicon
from protect.methods.recipe import Recipe
from protect.samples import Words
from protect.seeds import derive, generator
from protect.types import Batch, Features, Images, Tokens

Report = Callable[[str], None]
REPORTS = 20  # lines of progress in a run
AS_FOUND = "auto"


@dataclass
class Minimiser:
    """One run of: surrogate steps, word steps, noise steps (MEM algorithm 1).

    choice: the word of each pair at each position, (pairs, positions); changed in place by the word steps.
    permute: the captions of a batch are permuted among its images at every noise step, so that noise binds to
    trigger words and not to the caption's meaning. checkpoint: where each round is kept, and resumed from.
    """

    window: Window
    recipe: Recipe
    alphabet: tuple[Words, ...]
    choice: Choice
    noise: SampleWise
    permute: bool
    device: torch.device
    report: Report
    checkpoint: Checkpoint | None = None

    def __post_init__(self) -> None:
        self.transform = through(self.recipe.own.eot)
        self.random = self._random_of(0)
        self.limit = TimeLimit(self.recipe.own.budget)
        self.done = 0

    def run(self) -> DualEncoder:
        """All rounds that are not done yet and that the budget allows; returns the last surrogate."""
        rounds = self.recipe.own.rounds
        self._resume()
        while self.done < rounds and self.limit.allows():
            with self.limit.round():
                learned = self.round(self.done)
            self.done += 1
            self._keep()
            if self.done % -(-rounds // REPORTS) == 0 or self.done == rounds:
                self.report(f"round {self.done}/{rounds}: surrogate loss {learned:.3f}")
        if self.done < rounds:
            self.report(f"budget of {self.limit.minutes:g} min: round {self.done}/{rounds} was the last one")
        unpack(self.surrogate)
        return self.surrogate

    def round(self, number: int) -> float:
        """Surrogate steps, then word steps and noise steps for every pair; returns the surrogate's mean loss."""
        own = self.recipe.own
        self.random = self._random_of(number)
        if number == 0 or (own.reinit_every and number % own.reinit_every == 0):
            self.start_surrogate(number)
        learned = self.learn(list(self._learning_order(number)))
        self.freeze()
        for rows in self.window.epoch(self.recipe.fit.batch, self.random):
            if self.alphabet and number < own.text_rounds:
                self.search_words(rows)
            self.move_noise(rows)
        return learned

    def _random_of(self, number: int) -> torch.Generator:
        """The random numbers of a round: a resumed fit needs none that were drawn before it."""
        return generator(self.recipe.fit.seed, "round", number)

    def _learning_order(self, number: int) -> Iterator[Tensor]:
        """The surrogate's batches of a round; a pass over the window goes on in the round after, as in the paper."""
        seed, steps = self.recipe.fit.seed, self.recipe.own.surrogate_steps
        passes = (self.window.epoch(self.recipe.fit.batch, generator(seed, "pass", turn)) for turn in count())
        return islice(chain.from_iterable(passes), number * steps, (number + 1) * steps)

    def _resume(self) -> None:
        """What the rounds that a checkpoint has left is put back."""
        self.done, state = self.checkpoint.load(self.window) if self.checkpoint else (0, {})
        if self.done:
            self.start_surrogate(self.done - 1)
            self.surrogate.model.load_state_dict(state["surrogate"])
            self.optimizer.load_state_dict(state["optimizer"])
            self.choice.copy_(state["choice"])
            self.freeze()  # as a round leaves it: a frozen surrogate rounds its last bits in another way
            self.limit = TimeLimit(self.recipe.own.budget, **state["seconds"])
            self.report(f"resumed after round {self.done}/{self.recipe.own.rounds}")

    def _keep(self) -> None:
        if self.checkpoint:
            unpack(self.surrogate)
            state = {
                "surrogate": self.surrogate.model.state_dict(),
                "optimizer": self.optimizer.state_dict(),
                "choice": self.choice,
                "seconds": {"spent": self.limit.spent, "longest": self.limit.longest},
            }
            self.checkpoint.save(self.done, state, self.window.stored_noise())

    def start_surrogate(self, number: int) -> None:
        self.surrogate = surrogate_of(self.recipe, number, self.device)
        self.lexicon = Lexicon(self.surrogate, self.alphabet, self.recipe.trigger.style)
        self.optimizer = optimizer(self.surrogate, self.recipe.own.learning_rate, self.recipe.own.weight_decay)

    def learn(self, order: Sequence[Tensor]) -> float:
        """The surrogate takes one step on each batch as it is protected now; returns the mean loss."""
        unpack(self.surrogate)
        self.surrogate.train().requires_grad_(True)
        total = 0.0
        for rows in order:
            batch = self._batch(rows)
            noise = self.noise.of(rows, batch.images)
            loss = clip_loss(
                self.surrogate.images(self.transform(batch.images + noise / 255, self.random)),
                self.surrogate.text(self.tokens(batch, self.choice[rows])),
                self.surrogate.scale,
            )
            self.optimizer.zero_grad()
            loss.backward()
            self.optimizer.step()
            total += loss.item()
        return total / len(order)

    def freeze(self) -> None:
        """The surrogate as word and noise steps use it: nothing of it moves or needs a gradient."""
        self.surrogate.train(bool(self.recipe.own.reinit_every)).requires_grad_(False)  # young norms have no averages
        pack(self.surrogate)

    def search_words(self, rows: Tensor) -> None:
        """The word step of these pairs; what their images show is computed once."""
        batch = self._batch(rows)
        noise = self.noise.of(rows, batch.images)
        with torch.no_grad():
            features = image_features(self.surrogate, batch.images + noise / 255)
        contrast = InBatch(features, self.surrogate.scale)
        captions = [self.surrogate.encode(caption) for caption in draw_captions(batch, self.random)]
        self.choice[rows] = flip(self.lexicon, contrast, captions, self.choice[rows], self.recipe.own.candidates)

    def move_noise(self, rows: Tensor) -> None:
        """The noise steps of these pairs."""
        batch = self._batch(rows)
        loss = self._loss(rows, batch)
        self.noise.improve(rows, batch.images, loss, self.recipe.own)

    def _loss(self, rows: Tensor, batch: Batch) -> Callable[[Images], Tensor]:
        """The batch's loss as a function of its images; every call sees other captions, in all as many as steps."""
        captions = [self._captions(batch, self.permute) for _ in range(self.recipe.own.steps)]
        texts = iter(texts_of(self.lexicon, captions, self.choice[rows]))

        def loss(images: Images) -> Tensor:
            return clip_loss(
                image_features(self.surrogate, self.transform(images, self.random)), next(texts), self.surrogate.scale
            )

        return loss

    def _batch(self, rows: Tensor) -> Batch:
        batch = self.window.batch(rows)
        return Batch(batch.keys, batch.images.to(self.device), batch.captions)

    def tokens(self, batch: Batch, choice: Choice, permute: bool = False) -> Tokens:
        """Token rows of captions drawn anew, with these words; permuted, the words stay and the captions move."""
        captions = self._captions(batch, permute)
        return self.lexicon.rows([self.surrogate.encode(caption) for caption in captions], choice)[0]

    def _captions(self, batch: Batch, permute: bool) -> list[str]:
        captions = draw_captions(batch, self.random)
        return permuted(captions, self.random) if permute else captions


def draw_captions(batch: Batch, random: torch.Generator) -> list[str]:
    """One caption of each image, drawn at random: over the steps a noise answers to all captions of its image."""
    draws = torch.rand(len(batch), generator=random).tolist()
    return [captions[int(draw * len(captions))] for draw, captions in zip(draws, batch.captions, strict=True)]


def permuted(captions: list[str], random: torch.Generator) -> list[str]:
    """The captions in random order."""
    return [captions[i] for i in torch.randperm(len(captions), generator=random).tolist()]


def texts_of(lexicon: Lexicon, captions: Sequence[Sequence[str]], choice: Choice) -> tuple[Features, ...]:
    """Text features of several steps, each with the same words: computed at once, what begins alike is shared."""
    surrogate = lexicon.surrogate
    every = [surrogate.encode(caption) for step in captions for caption in step]
    tokens, where = lexicon.rows(every, choice.repeat(len(captions), 1))
    shared = where[:, -1] + 1 if lexicon.style == "prefix" and choice.shape[1] else None
    return text_features(surrogate, tokens, shared).split(len(choice))


def surrogate_of(recipe: Recipe, number: int, device: torch.device) -> DualEncoder:
    """The surrogate of a round: the named models take turns, each time from another initialisation."""
    fit, every = recipe.fit, recipe.own.reinit_every
    turn = number // every if every else 0
    names = families(fit.surrogate, device)
    surrogate = load_encoder(
        names[turn % len(names)], device, fit.pretrained, fit.size, derive(fit.seed, "surrogate", turn)
    )
    if fit.precision != AS_FOUND:
        surrogate.autocast_type = torch.bfloat16 if fit.precision == "bf16" else None
    return surrogate


def settled(recipe: Recipe, device: torch.device) -> Recipe:
    """The recipe with the precision that this machine computes fastest in: a busy one must not decide anew later."""
    if recipe.fit.precision != AS_FOUND:
        return recipe
    fast = autocast_type(device) is not None
    return replace(recipe, fit=replace(recipe.fit, precision="bf16" if fast else "fp32"))
