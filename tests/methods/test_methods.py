"""Every method keeps its promises: budget, seed, alphabet, independence; and the ones that optimise do."""

import multiprocessing
import signal
from dataclasses import fields, replace
from functools import cache

import numpy as np
import pytest
import torch
from kills import die_at

from protect.clip.losses import clip_loss
from protect.clip.models import OpenClip, optimizer
from protect.data.window import Window, to_images
from protect.methods import METHODS, em, mem
from protect.methods.instant_settings import InstantSettings
from protect.methods.mem_settings import MemSettings
from protect.methods.parts import error_min as minimise
from protect.methods.parts import per_image, phase2
from protect.methods.parts.budget import Budget, to_int8
from protect.methods.parts.error_min import Minimiser, surrogate_of, texts_of
from protect.methods.parts.noise import SampleWise
from protect.methods.parts.trigger import words_of
from protect.methods.protector import fit
from protect.methods.recipe import Recipe
from protect.seeds import generator
from protect.settings.recipe import FitSettings, TriggerSettings
from protect.types import Batch

SIZE = 32
SMALL = Recipe(
    FitSettings(method="mem", surrogate=("tiny-vit",), size=SIZE, window=8, batch=4),
    TriggerSettings(trigger_words=2, alphabet=4),
    own=MemSettings(rounds=2, surrogate_steps=1, text_rounds=1, candidates=2, steps=2, step_size=3.0),
)


CPU = torch.device("cpu")


def variant(method, **own):
    """The small recipe for another method; `own` changes that method's own settings."""
    kind = METHODS[method].settings
    shared = {f.name: getattr(SMALL.own, f.name) for f in fields(kind) if hasattr(SMALL.own, f.name)}
    trigger = SMALL.trigger if METHODS[method].trigger_words else TriggerSettings()
    return Recipe(replace(SMALL.fit, method=method), trigger, own=kind(**shared | own))


RECIPES = {
    "mem": variant("mem"),
    "mem, drawn": variant("mem", start="drawn"),
    "em": variant("em"),
    "random": variant("random"),
    "instant": variant("instant"),
}
OPTIMISING = ("mem, drawn", "em")


def pixels_of(number):
    """A picture with its extremes: some of it black, some of it white, the rest noise."""
    pixels = np.random.default_rng(number).integers(0, 256, (3, SIZE, SIZE), dtype=np.uint8)
    pixels[:, :6], pixels[:, 6:12] = 0, 255
    return pixels


def window_of(pairs=8):
    window = Window(SIZE, pairs)
    for number in range(pairs):
        window.add(f"key{number}", pixels_of(number), [f"a caption of number {number}", f"number {number} again"])
    return window


def batch_of(*numbers):
    images = to_images(torch.from_numpy(np.stack([pixels_of(number) for number in numbers])))
    return Batch(tuple(f"new{n}" for n in numbers), images, tuple((f"a new one, {n}",) for n in numbers))


@cache
def fitted(name, seed=0):
    recipe = RECIPES[name]
    return fit(window_of(), replace(recipe, fit=replace(recipe.fit, seed=seed)))


def test_the_table_holds_every_method():
    assert {recipe.fit.method for recipe in RECIPES.values()} == set(METHODS)


@pytest.mark.parametrize("name", RECIPES)
def test_noise_stays_in_the_budget_and_the_pixel_range(name):
    batch = batch_of(50, 51, 52)
    protection = fitted(name).protect(batch)
    noise = protection.noise.int()
    changed = (batch.images * 255).round().int() + noise
    assert protection.keys == batch.keys
    assert protection.noise.shape == batch.images.shape
    assert noise.abs().amax(dim=(1, 2, 3)).min() >= 1 and noise.abs().max() <= 8
    if protection.noise.stride(1):  # else all channels move alike, and who writes the picture keeps it in its range
        assert changed.min() >= 0 and changed.max() <= 255


@pytest.mark.parametrize("epsilon", [0.0, 2.5])
@pytest.mark.parametrize("name", RECIPES)
def test_small_and_fractional_budgets_are_kept(name, epsilon):
    made = fitted(name)
    recipe = replace(made.recipe, noise=replace(made.recipe.noise, epsilon=epsilon))
    noise = replace(made, recipe=recipe).protect(batch_of(50, 51)).noise
    assert noise.abs().max() == int(epsilon)


@pytest.mark.parametrize("name", RECIPES)
def test_words_come_from_the_alphabet_of_their_position(name):
    made = fitted(name)
    words = made.protect(batch_of(*range(50, 60))).words
    assert len(made.fitted.alphabet) == (0 if name == "em" else 2)
    for row in words:
        assert len(row) == len(made.fitted.alphabet)
        assert all(word in choices for word, choices in zip(row, made.fitted.alphabet, strict=True))
    assert name == "em" or len(set(words)) > 3


@pytest.mark.parametrize("name", RECIPES)
def test_same_seed_same_protector_and_protection_other_seed_another(name):
    batch, recipe = batch_of(50, 51, 52), RECIPES[name]
    first, again, other = fitted(name), fit(window_of(), recipe), fitted(name, seed=1)
    assert first.hash == again.hash != other.hash
    one, two, three = (made.protect(batch) for made in (first, again, other))
    assert torch.equal(one.noise, two.noise) and one.words == two.words
    assert not torch.equal(one.noise, three.noise)
    assert name in ("em", "instant") or one.words != three.words  # instant's words name what is seen
    repeated = first.protect(batch)
    assert torch.equal(one.noise, repeated.noise) and one.words == repeated.words


@pytest.mark.parametrize("name", RECIPES)
def test_protecting_leaves_images_and_global_generator_alone(name):
    batch, state = batch_of(50, 51), torch.get_rng_state()
    before = batch.images.clone()
    fitted(name).protect(batch)
    assert torch.equal(batch.images, before)
    assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.parametrize("name", RECIPES)
def test_a_single_image_is_protected_alone(name):
    protection = fitted(name).protect(batch_of(50))
    assert len(protection.words) == 1
    assert (protection.noise != 0).float().mean() > 0.3  # two words of opposite sign cancel


@pytest.mark.parametrize("name", RECIPES)
def test_an_image_is_protected_alike_in_any_company(name):
    made = fitted(name)
    together, apart = made.protect(batch_of(50, 51, 52)), [made.protect(batch_of(n)) for n in (52, 50, 51)]
    assert torch.equal(together.noise, torch.cat([apart[i].noise for i in (1, 2, 0)]))
    assert together.words == tuple(apart[i].words[0] for i in (1, 2, 0))


@pytest.mark.parametrize("name", OPTIMISING)
def test_noise_lowers_the_surrogates_loss_during_fit(name, monkeypatch):
    runs, run = [], Minimiser.run
    monkeypatch.setattr(Minimiser, "run", lambda self: (runs.append(self), run(self))[1])
    recipe, lines = RECIPES[name], []
    fit(window_of(), recipe, lines.append)
    assert [line.split(":")[0] for line in lines] == ["round 1/2", "round 2/2"]
    (done,) = runs
    rows = torch.arange(8)
    batch = done.window.batch(rows)
    surrogate = done.surrogate.eval()
    noise = done.noise.of(rows, batch.images)
    assert noise.flatten(1).any(dim=1).all()  # no pair was left out

    def loss_with(changed):
        """Over both captions of each picture, as the noise answers to both."""
        images, losses = surrogate.images(batch.images + changed / 255), []
        for number in (0, 1):
            captions = [surrogate.encode(captions[number]) for captions in batch.captions]
            texts = surrogate.text(done.lexicon.rows(captions, done.choice)[0])
            losses.append(clip_loss(images, texts, surrogate.scale))
        return sum(losses) / 2

    clean, protected, opposite = map(loss_with, (noise * 0, noise, -noise))
    assert protected < clean - 0.005
    assert protected < opposite - 0.01


def test_em_is_mem_without_words_and_permuting(monkeypatch):
    pairs = 9  # the last batch holds five: no pair is left out
    wordless = replace(variant("mem", start="drawn"), trigger=TriggerSettings(trigger_words=0))
    windows = [window_of(pairs) for _ in range(3)]
    permuted = mem.fit(windows[0], wordless, CPU, str)
    monkeypatch.setattr(per_image, "Minimiser", lambda *args: Minimiser(*args[:5], False, *args[6:]))
    plain = mem.fit(windows[1], wordless, CPU, str)
    reference = em.fit(windows[2], variant("em"), CPU, str)
    noises = [window.noise(torch.arange(pairs)) for window in windows]
    assert torch.equal(noises[1], noises[2])
    assert not torch.equal(noises[0], noises[2])
    assert all(torch.equal(plain.tensors[name], value) for name, value in reference.tensors.items())
    assert plain.tensors.keys() == reference.tensors.keys() == permuted.tensors.keys()
    assert noises[2].flatten(1).any(dim=1).all()


def test_surrogate_learns_by_plain_adamw_steps():
    recipe = variant("em", rounds=1, surrogate_steps=2)
    learned, window = em.fit(window_of(), recipe, CPU, str), window_of()
    surrogate = surrogate_of(recipe, 0, CPU).train()
    steps = optimizer(surrogate, recipe.own.learning_rate, recipe.own.weight_decay)
    random = generator(recipe.fit.seed, "round", 0)
    for rows in window.epoch(4, generator(recipe.fit.seed, "pass", 0)):
        batch = window.batch(rows)
        draws = (torch.rand(4, generator=random) * 2).long().tolist()
        captions = [captions[draw] for draw, captions in zip(draws, batch.captions, strict=True)]
        texts = surrogate.text(surrogate.rows([surrogate.encode(caption) for caption in captions]))
        surrogate.zero_grad()
        clip_loss(surrogate.images(batch.images), texts, surrogate.scale).backward()
        steps.step()
    for name, value in surrogate.model.named_parameters():
        assert torch.equal(learned.tensors[f"surrogate.{name}"], value.detach()), name


def test_learning_goes_through_the_pairs_pass_after_pass_whatever_the_length_of_a_round():
    def order(steps, rounds):
        recipe = variant("em", rounds=rounds, surrogate_steps=steps)
        window = window_of()
        noise = SampleWise(window, Budget(8.0))
        done = Minimiser(window, recipe, (), torch.zeros(8, 0).long(), noise, False, CPU, str)
        return torch.cat([rows for number in range(rounds) for rows in done._learning_order(number)])

    long, short = order(6, 1), order(1, 6)
    assert torch.equal(long, short)
    assert all(part.sort().values.tolist() == list(range(8)) for part in long.split(8))
    assert not torch.equal(long[:8], long[8:16])


class Killed(Exception):
    pass


def killed_after(rounds):
    """A report that ends the process, as a SIGKILL would, when so many rounds are done."""

    def report(line):
        if line.startswith(f"round {rounds}/"):
            raise Killed

    return report


@pytest.mark.parametrize("after", [1, 2, 3])
@pytest.mark.parametrize(("name", "own"), [("mem", {"text_rounds": 2}), ("em", {"reinit_every": 2})])
def test_a_fit_that_was_killed_resumes_to_the_same_bytes(name, own, after, tmp_path):
    recipe, rounds = variant(name, rounds=3, **own), tmp_path / "rounds"
    whole = fit(window_of(), recipe)
    with pytest.raises(Killed):
        fit(window_of(), recipe, killed_after(after), rounds=rounds)
    (rounds / "state.pt.part").write_bytes(b"cut short")  # what a kill leaves in the middle of a write
    (rounds / f"noise-{after + 1}.int8.part").write_bytes(b"cut")
    lines = []
    again = fit(window_of(), recipe, lines.append, rounds=rounds)
    assert lines[0] == f"resumed after round {after}/3" and len(lines) == 4 - after
    assert again.hash == whole.hash
    assert again.protect(batch_of(50)).words == whole.protect(batch_of(50)).words


def killed_at(count, folder):
    """A fit in a process of its own, which dies."""
    die_at(count)
    torch.set_num_threads(1)
    fit(window_of(), variant("mem", rounds=3), rounds=folder)


def test_a_fit_killed_again_and_again_by_sigkill_ends_with_the_same_bytes(tmp_path):
    whole, rounds = fit(window_of(), variant("mem", rounds=3)), tmp_path / "rounds"
    context = multiprocessing.get_context("fork")
    for count in (0, 1, 2, 3, 5):
        process = context.Process(target=killed_at, args=(count, rounds))
        process.start()
        process.join()
        assert process.exitcode == -signal.SIGKILL
    lines = []
    again = fit(window_of(), variant("mem", rounds=3), lines.append, rounds=rounds)
    assert any(line.startswith("resumed after round") for line in lines)
    assert again.hash == whole.hash


def test_rounds_of_another_recipe_or_other_data_are_refused(tmp_path):
    recipe, rounds = variant("em"), tmp_path / "rounds"
    with pytest.raises(Killed):
        fit(window_of(), recipe, killed_after(1), rounds=rounds)
    for window, other in ((window_of(), variant("em", step_size=2.0)), (window_of(7), recipe)):
        with pytest.raises(ValueError, match="expected a checkpoint of this recipe and data, found another's"):
            fit(window, other, rounds=rounds)
    (rounds / "state.pt").write_bytes(b"nothing")
    with pytest.raises(ValueError, match="expected the checkpoint of a fit"):
        fit(window_of(), recipe, rounds=rounds)


def test_the_noise_of_a_new_pair_comes_from_the_captions_of_others(monkeypatch):
    """MEM permutes captions between a new pair and the anchors; EM keeps its own."""
    seen = []
    monkeypatch.setattr(
        phase2,
        "texts_of",
        lambda lexicon, captions, choice: seen.append(captions) or texts_of(lexicon, captions, choice),
    )
    for name, own in (("mem", False), ("em", True)):
        made = fitted(name)
        seen.clear()
        made.protect(batch_of(50))
        (steps,) = seen
        assert len(steps) == made.recipe.own.phase2_steps
        assert all((caption == "a new one, 50") is own for (caption,) in steps)
        assert own or {caption for (caption,) in steps} <= set(made.fitted.facts[phase2.CAPTIONS])


def test_surrogates_take_turns_as_often_as_they_start_anew(monkeypatch):
    made = object.__new__(OpenClip)
    calls = []
    monkeypatch.setattr(minimise, "load_encoder", lambda name, *rest: calls.append((name, rest[-1])) or made)
    recipe = replace(SMALL, fit=replace(SMALL.fit, surrogate=("a", "b")))

    def turns(every):
        changed = replace(recipe, own=replace(recipe.own, reinit_every=every))
        calls.clear()
        assert all(minimise.surrogate_of(changed, number, CPU) is made for number in range(4))
        return list(calls)

    assert [name for name, _ in turns(1)] == ["a", "b", "a", "b"]
    assert [name for name, _ in turns(2)] == ["a", "a", "b", "b"]
    assert [len(set(turns(every))) for every in (None, 1, 2)] == [1, 4, 2]  # each start has a seed of its own


@pytest.mark.parametrize("reinit_every", [None, 1])
def test_several_surrogates_leave_a_protector_that_works(reinit_every):
    recipe = variant("em", rounds=2, reinit_every=reinit_every)
    made = fit(window_of(), replace(recipe, fit=replace(recipe.fit, surrogate=("tiny-vit", "tiny-resnet"))))
    assert made.protect(batch_of(50)).noise.any()


PER_IMAGE = ("mem", *OPTIMISING)


def test_mem_starts_from_the_words_and_the_noise_of_instant():
    recipe = variant("mem", rounds=1, text_rounds=0)
    still = replace(recipe, own=replace(recipe.own, step_size=1e-9))
    instant_too = Recipe(
        replace(recipe.fit, method="instant"), recipe.trigger, recipe.noise, InstantSettings(wording="drawn")
    )
    mine, theirs = (fit(window_of(), one) for one in (still, instant_too))
    for batch in (batch_of(0, 1, 2), batch_of(50, 51)):  # of the window, and new
        assert mine.protect(batch).words == theirs.protect(batch).words
        inside = Budget(8.0).project(
            batch.images, theirs.protect(batch).noise.float()
        )  # instant leaves that to the gate
        assert torch.equal(mine.protect(batch).noise, to_int8(inside))


def of_window(*numbers):
    """A batch of pairs that the fits here have seen, as phase 2 reads them from a shard."""
    batch = window_of().batch(torch.tensor(numbers))
    return replace(batch, captions=tuple((captions[0],) for captions in batch.captions))


@pytest.mark.parametrize("name", PER_IMAGE)
def test_pairs_of_the_window_get_what_phase_1_made_for_them(name, monkeypatch):
    runs, run = [], Minimiser.run
    monkeypatch.setattr(Minimiser, "run", lambda self: (runs.append(self), run(self))[1])
    made, rows = fit(window_of(), RECIPES[name]), [5, 2, 7]
    (done,) = runs
    protection = made.protect(of_window(*rows))
    assert torch.equal(protection.noise.float(), done.window.noise(torch.tensor(rows)))
    assert protection.words == words_of(made.fitted.alphabet, done.choice[rows])


@pytest.mark.parametrize("name", PER_IMAGE)
def test_what_phase_1_made_does_not_depend_on_batch_mates(name):
    made = fitted(name)
    alone, together = made.protect(of_window(3)), made.protect(of_window(6, 3, 1))
    window, new = of_window(3), batch_of(50, 51)
    mixed = made.protect(
        replace(
            new,
            keys=(new.keys[0], window.keys[0], new.keys[1]),
            images=torch.stack([new.images[0], window.images[0], new.images[1]]),
            captions=(new.captions[0], window.captions[0], new.captions[1]),
        )
    )
    for protection in (together, mixed):
        assert torch.equal(protection.noise[1], alone.noise[0]) and protection.words[1] == alone.words[0]
    expected = made.protect(new)
    assert torch.equal(mixed.noise[[0, 2]], expected.noise)
    assert (mixed.words[0], mixed.words[2]) == expected.words


@pytest.mark.parametrize("name", PER_IMAGE)
def test_a_key_of_the_window_with_another_picture_is_a_new_pair(name):
    made, known = fitted(name), of_window(3)
    other = replace(known, images=of_window(4).images)
    kept = made.protect(of_window(3)).noise
    assert not torch.equal(made.protect(other).noise, kept)
    assert not torch.equal(made.protect(other).noise, made.protect(of_window(4)).noise)


@pytest.mark.parametrize("name", OPTIMISING)
def test_noise_of_new_pairs_takes_as_many_steps_as_the_settings_say(name):
    made = fitted(name)

    def largest(steps):
        recipe = replace(made.recipe, own=replace(made.recipe.own, phase2_steps=steps, step_size=1.0))
        return replace(made, recipe=recipe).protect(batch_of(50, 51)).noise.abs().max()

    assert [largest(steps) for steps in (1, 3)] == [1, 3]


def test_a_protector_keeps_the_precision_it_was_fitted_in(monkeypatch):
    monkeypatch.setattr(minimise, "autocast_type", lambda device: torch.bfloat16)
    made = fit(window_of(), variant("em", rounds=1))
    assert made.recipe.fit.precision == "bf16"
    assert surrogate_of(made.recipe, 0, CPU).autocast_type == torch.bfloat16
    monkeypatch.setattr(minimise, "autocast_type", lambda device: None)
    assert surrogate_of(made.recipe, 0, CPU).autocast_type == torch.bfloat16
    asked = replace(SMALL, fit=replace(SMALL.fit, precision="fp32"))
    assert surrogate_of(asked, 0, CPU).autocast_type is None
    assert fit(window_of(), variant("random")).recipe.fit.precision == "auto"  # nothing is computed in it
