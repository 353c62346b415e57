"""The fitted artefact: the same after the disk, refused when it was touched."""

import hashlib
import json
import stat
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image

from protect.data.prepared import Prepared
from protect.data.views import room
from protect.data.window import Window, to_images
from protect.methods import METHODS
from protect.methods.fitted import Fitted
from protect.methods.instant_settings import ATTRIBUTE_WORDS
from protect.methods.parts.wordlist import draw_alphabet
from protect.methods.protector import ABOUT, NOISE, TENSORS, Protector, fit
from protect.methods.recipe import Recipe
from protect.publish.upsample import upsample
from protect.settings.recipe import FitSettings, NoiseSettings, TriggerSettings
from protect.types import Batch

SIZE = 32


def recipe_of(method):
    kind, words = METHODS[method].settings, 2 if METHODS[method].trigger_words else None
    few = {"rounds": 1, "surrogate_steps": 1, "candidates": 2, "steps": 1}
    return Recipe(
        FitSettings(method=method, surrogate=("tiny-resnet",), size=SIZE, batch=4),
        TriggerSettings(trigger_words=words, alphabet=4),
        own=kind(**{name: value for name, value in few.items() if hasattr(kind, name)}),
    )


def pixels_of(number):
    return np.random.default_rng(number).integers(0, 256, (3, SIZE, SIZE), dtype=np.uint8)


def window_of(pairs):
    window = Window(SIZE, max(pairs, 1))
    for number in range(pairs):
        window.add(str(number), pixels_of(number), [f"caption {number}"])
    return window


@pytest.fixture
def batch():
    images = to_images(torch.from_numpy(np.stack([pixels_of(number) for number in (20, 21, 22)])))
    return Batch(("x", "y", "z"), images, (("a dog",), ("a cat", "a kitten"), ("a bird",)))


@pytest.fixture
def protector():
    """A protector made by hand, with a tensor and a fact."""
    weights = torch.randn(2, 4, generator=torch.Generator().manual_seed(0))
    fitted = Fitted(draw_alphabet(2, 4, 0), {"weights": weights}, {"pictures": 3})
    return Protector(recipe_of("random"), fitted, SIZE, "fingerprint", 8)


@pytest.mark.parametrize("method", METHODS)
def test_a_protector_is_the_same_after_the_disk(tmp_path, batch, method):
    made = fit(window_of(4), recipe_of(method))
    made.save(tmp_path / "protector")
    read = Protector.load(tmp_path / "protector")
    assert read.hash == made.hash
    assert (read.recipe, read.size, read.pairs, read.fingerprint) == (
        made.recipe,
        SIZE,
        4,
        window_of(4).fingerprint(),
    )
    before, after = made.protect(batch), read.protect(batch)
    assert torch.equal(before.noise, after.noise)
    assert (before.words, before.keys) == (after.words, after.keys)


def test_saving_twice_writes_the_same_bytes(tmp_path, protector):
    for name in ("a", "b"):
        protector.save(tmp_path / name)
    files = [sorted((p.name, p.read_bytes()) for p in (tmp_path / name).iterdir()) for name in ("a", "b")]
    assert files[0] == files[1]
    assert {name for name, _ in files[0]} == {ABOUT, TENSORS, "hash"}


def test_hash_answers_for_everything_that_matters(protector):
    fitted = protector.fitted
    other = replace(fitted, tensors={"weights": fitted.tensors["weights"] + 1e-3})
    changed = [
        replace(protector, recipe=replace(protector.recipe, noise=NoiseSettings(epsilon=4.0))),
        replace(protector, fitted=other),
        replace(protector, fitted=replace(fitted, alphabet=fitted.alphabet[::-1])),
        replace(protector, fitted=replace(fitted, facts={"pictures": 4})),
        replace(protector, size=64),
        replace(protector, fingerprint="other data"),
        replace(protector, pairs=9),
    ]
    assert len({one.hash for one in (protector, *changed)}) == 8
    assert replace(protector, device="cpu").hash == protector.hash


def test_a_protector_of_before_a_setting_was_added_is_read_with_its_default(tmp_path, protector):
    protector.save(tmp_path / "p")
    about = json.loads((tmp_path / "p" / ABOUT).read_text())
    del about["recipe"]["trigger"]["language"]
    (tmp_path / "p" / ABOUT).write_text(json.dumps(about))
    noise = protector.fitted.noise.digest() if protector.fitted.noise else ""
    parts = (tmp_path / "p" / ABOUT).read_bytes() + (tmp_path / "p" / TENSORS).read_bytes() + noise.encode()
    (tmp_path / "p" / "hash").write_text(f"{hashlib.sha256(parts).hexdigest()}\nprotect 0.1\n")
    read = Protector.load(tmp_path / "p")
    assert read.recipe == protector.recipe and read.hash == protector.hash


def flip_byte(path):
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)


def more_noise(path):
    path.write_text(path.read_text().replace('"epsilon": 8.0', '"epsilon": 16.0'))


@pytest.mark.parametrize(("name", "tamper"), [(TENSORS, flip_byte), (ABOUT, more_noise)])
def test_a_changed_file_is_refused(tmp_path, protector, name, tamper):
    protector.save(tmp_path / "p")
    before = (tmp_path / "p" / name).read_bytes()
    tamper(tmp_path / "p" / name)
    assert (tmp_path / "p" / name).read_bytes() != before
    with pytest.raises(ValueError, match=f"expected hash {protector.hash[:12]}, got .*; fit it again"):
        Protector.load(tmp_path / "p")


def other_json(content):
    return lambda folder: (folder / ABOUT).write_text(json.dumps(content))


@pytest.mark.parametrize(
    "spoil",
    [
        lambda folder: (folder / ABOUT).unlink(),
        lambda folder: (folder / TENSORS).unlink(),
        lambda folder: (folder / "hash").write_text(""),
        lambda folder: (folder / ABOUT).write_text("{"),
        lambda folder: (folder / ABOUT).write_bytes(b"\xff\xfe"),
        other_json({}),
        other_json([1]),
        other_json({"format": 2, "alphabet": 3}),
        other_json({"format": 2, "alphabet": [], "recipe": {"fit": {"speed": 1}}}),
        lambda folder: (folder / TENSORS).write_bytes((folder / TENSORS).read_bytes()[:100]),
        lambda folder: (folder / TENSORS).write_bytes(b"\x00" * 64),
    ],
)
def test_what_is_no_protector_is_refused_in_one_line(tmp_path, protector, spoil):
    folder = tmp_path / "p"
    protector.save(folder)
    spoil(folder)
    with pytest.raises(ValueError, match="p: expected a protector made by `protect fit`, got: ") as error:
        Protector.load(folder)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("method", "cure"), [("content", "use instant"), ("code", "use instant"), ("em", "fit it again")]
)
def test_a_protector_of_an_older_version_is_refused_with_what_to_use(tmp_path, protector, method, cure):
    protector.save(tmp_path / "p")
    other_json({"format": 1, "recipe": {"fit": {"method": method, "device": "cpu"}}})(tmp_path / "p")
    with pytest.raises(ValueError, match=f"expected a protector of format 2, found format 1 .*{method}.*; {cure}"):
        Protector.load(tmp_path / "p")


def test_a_missing_folder_a_file_and_a_half_written_one_are_refused(tmp_path, protector):
    protector.save(tmp_path / "p")
    (tmp_path / "p").rename(tmp_path / "q.part")
    for path in (tmp_path / "q", tmp_path / "q.part" / "hash"):
        with pytest.raises(ValueError, match="expected a protector"):
            Protector.load(path)


def test_a_folder_with_other_things_is_not_overwritten(tmp_path, protector):
    (tmp_path / "photo.jpg").write_text("mine")
    with pytest.raises(ValueError, match="expected an empty folder or a protector to replace"):
        protector.save(tmp_path)
    assert (tmp_path / "photo.jpg").read_text() == "mine"
    assert [p.name for p in tmp_path.iterdir()] == ["photo.jpg"]


def test_a_file_is_not_overwritten(tmp_path, protector):
    (tmp_path / "p").write_text("mine")
    with pytest.raises(ValueError, match="expected a folder, got a file"):
        protector.save(tmp_path / "p")
    assert (tmp_path / "p").read_text() == "mine"


def test_an_empty_folder_and_an_older_protector_are_replaced(tmp_path, protector):
    folder = tmp_path / "p"
    folder.mkdir()
    replace(protector, pairs=3).save(folder)
    protector.save(folder)
    assert Protector.load(folder).hash == protector.hash
    assert [p.name for p in tmp_path.iterdir()] == ["p"]


def test_a_half_written_folder_of_before_does_not_matter(tmp_path, protector):
    part = tmp_path / "deep" / "p.part"
    part.mkdir(parents=True)
    (part / TENSORS).write_bytes(b"half")
    (part / "more").write_bytes(b"more")
    protector.save(tmp_path / "deep" / "p")
    assert Protector.load(tmp_path / "deep" / "p").hash == protector.hash
    assert not part.exists()


@pytest.mark.parametrize("pairs", [0, 1])
def test_fitting_needs_two_pairs(pairs):
    with pytest.raises(ValueError, match=f"expected at least 2 usable pairs .*, got {pairs}"):
        fit(window_of(pairs), recipe_of("random"))


@pytest.mark.parametrize("method", ["mem", "em"])
def test_noise_of_the_window_outlives_it_on_the_disk(tmp_path, method):
    window = window_of(4)
    made = fit(window, recipe_of(method))
    seen = window.batch(torch.tensor([2, 0]))
    before = made.protect(seen)
    made.save(tmp_path / "first")
    del window, made
    read = Protector.load(tmp_path / "first")
    assert stat.S_IMODE((tmp_path / "first" / NOISE).stat().st_mode) == 0o600
    assert (tmp_path / "first" / NOISE).stat().st_size == 4 * 3 * SIZE * SIZE
    read.save(tmp_path / "second")
    read.save(tmp_path / "first")  # over the very file it reads from
    for folder in ("first", "second"):
        after = Protector.load(tmp_path / folder).protect(seen)
        assert torch.equal(before.noise, after.noise) and before.words == after.words


def test_noise_that_was_changed_or_lost_is_noticed(tmp_path):
    fit(window_of(4), recipe_of("em")).save(tmp_path / "p")
    path = tmp_path / "p" / NOISE
    noise = bytearray(path.read_bytes())
    path.write_bytes(noise[:-1] + bytes([noise[-1] ^ 1]))
    with pytest.raises(ValueError, match="expected hash"):
        Protector.load(tmp_path / "p")
    path.write_bytes(noise[:-1])
    with pytest.raises(ValueError, match=r"expected a protector .*bytes of noise"):
        Protector.load(tmp_path / "p")
    path.unlink()
    with pytest.raises(ValueError, match="expected hash"):
        Protector.load(tmp_path / "p")


@pytest.mark.parametrize(("height", "width"), [(32, 32), (32, 80), (90, 40), (20, 20)])
def test_noise_that_follows_a_picture_covers_all_of_it(height, width):
    """Where the picture has its texture the noise has it too, beside the centre crop as well as in it."""
    recipe = Recipe(FitSettings(method="instant", size=32, window=64))
    made = fit(window_of(6), recipe)
    pixels = np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8)
    picture = SimpleNamespace(kind="PNG", image=Image.fromarray(pixels), lossless=True)
    [perturbation] = made.perturb([made.look(Prepared("key", ("a cat and a dog",), picture))])
    noise, words, size = perturbation()
    assert size == min(32, height, width) and len(words) == ATTRIBUTE_WORDS and noise.dtype == np.int8
    assert noise.shape == (3, room(height, width, size), room(height, width, size))
    upsampled = upsample(noise, height, width, 8, size=size)
    quarter = max(height, width) // 4
    parts = np.split(upsampled if height > width else upsampled.transpose(1, 0, 2), [quarter, -quarter])
    strengths = [np.abs(part).mean() for part in parts]
    assert min(strengths) > 0.5 * max(strengths) > 0
