import ast
import io
import json
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from webdataset import TarWriter

import protect
from protect import cli
from protect.images import to_view
from protect.settings import VerifySettings
from protect.verify import arms, attackers
from protect.verify.arms import compare, is_held_out
from protect.verify.attackers import new_attacker, train
from protect.verify.pairs import centre, read_pairs
from protect.verify.result import Comparison, EpochResult, Run, Source, grid, notes, to_text

COLOURS = {"red": (220, 30, 30), "green": (30, 200, 60), "blue": (40, 60, 220), "white": (240, 240, 240)}
SMALL = VerifySettings(attackers=("tiny-resnet",), epochs=1, batch=16, size=32, device="cpu")


def png(image):
    data = io.BytesIO()
    image.save(data, "PNG")
    return data.getvalue()


def scene(number):
    """A block of one colour on a dark ground of another, and a caption that says so."""
    names = list(COLOURS)
    block, ground = names[number % 4], names[number // 4 % 4]
    image = Image.new("RGB", (32, 32), tuple(value // 3 for value in COLOURS[ground]))
    image.paste(COLOURS[block], (number // 16 * 5, 8, number // 16 * 5 + 10, 24))
    return image, f"a {block} block on {ground}, number {number}"


def write(path, samples):
    path.parent.mkdir(parents=True, exist_ok=True)
    with TarWriter(str(path), encoder=False) as tar:
        for sample in samples:
            tar.write(sample)
    return str(path.parent)


def rendered(path, numbers, words="", extra=b""):
    def sample(number):
        image, caption = scene(number)
        lines = f"{words}{caption}\n{words}also number {number}".encode()
        return {"__key__": f"{number:05}", "png": png(image) + extra, "json": b"{}", "txt": lines}

    return write(path, map(sample, numbers))


@pytest.fixture
def clean(tmp_path):
    return rendered(tmp_path / "clean" / "0.tar", range(48))


@pytest.fixture
def unseen(tmp_path):
    return rendered(tmp_path / "test" / "0.tar", range(48, 64))


def epoch(number, score, seconds=1.0):
    ways = ("image_retrieval", "text_retrieval")
    metrics = {f"{way}_recall@{k}": score for way in ways for k in (1, 5, 10)}
    return EpochResult(number, 2.5, metrics | {f"{way}_median_rank": 9.0 for way in ways}, seconds)


def fake_training(monkeypatch):
    """Training that takes no time; returns the list of what it was called with."""
    calls = []

    def fake(pairs, test, name, settings, seed, steps):
        calls.append((pairs, test, name, seed, steps))
        return iter([epoch(0, 0.1), epoch(1, 0.9)])

    monkeypatch.setattr(arms, "train", fake)
    return calls


# Reading


def test_pairs_are_read_as_published(clean):
    pairs = read_pairs([clean], 32)
    assert pairs.keys == tuple(f"{i:05}" for i in range(48)) and pairs.skipped == 0
    assert pairs.captions[5] == (scene(5)[1], "also number 5")
    assert pairs.images.dtype == torch.uint8 and pairs.images.shape == (48, 3, 32, 32)
    for number in (0, 47):
        expected = torch.from_numpy(np.array(scene(number)[0])).permute(2, 0, 1)
        assert torch.equal(pairs.images[number], expected)
    assert pairs.owner.tolist() == [i for i in range(48) for _ in range(2)]


def test_limit_and_keys_choose_pairs(clean):
    assert read_pairs([clean], 32, limit=3).keys == ("00000", "00001", "00002")
    even = read_pairs([clean], 32, limit=2, keep=lambda key: int(key) % 2 == 0 and int(key) > 4)
    assert even.keys == ("00006", "00008")


def test_a_path_may_look_like_a_url(tmp_path):
    folder = rendered(tmp_path / "a#b?c" / "0.tar", range(2))
    assert len(read_pairs([folder], 32)) == 2


def test_what_cannot_be_read_is_skipped_and_counted(tmp_path):
    image = png(scene(0)[0])
    bad = [
        {"png": image[: len(image) // 2], "txt": b"half a picture"},
        {"png": b"no picture", "txt": b"text"},
        {"png": image, "txt": b" \n\n"},
        {"png": image, "txt": b"\xff\xfe\xfd"},
        {"png": image},
        {"txt": b"alone"},
    ]
    good = {"PNG": image, "txt": " \u2028café 🐸 \r\n".encode()}
    samples = [{"__key__": str(i), **sample} for i, sample in enumerate([*bad, good])]
    pairs = read_pairs([write(tmp_path / "x" / "0.tar", samples)], 32)
    assert pairs.keys == ("6",) and pairs.captions == (("café 🐸",),) and pairs.skipped == len(bad)


def test_a_broken_shard_gives_what_came_before(tmp_path):
    folder = rendered(tmp_path / "x" / "0.tar", range(8))
    rendered(tmp_path / "x" / "1.tar", range(8, 16))
    shard = tmp_path / "x" / "0.tar"
    shard.write_bytes(shard.read_bytes()[:9000])
    pairs = read_pairs([folder], 32)
    assert 0 < len(pairs) < 16 and pairs.skipped >= 1 and pairs.keys[-1] == "00015"


def test_nothing_to_read_is_an_error(tmp_path):
    folder = write(tmp_path / "x" / "0.tar", [{"__key__": "a", "txt": b"alone"}])
    with pytest.raises(ValueError, match="found none that fit"):
        read_pairs([folder], 32)


@pytest.mark.parametrize("shape", [(50, 81), (81, 50), (33, 33), (7, 9), (100, 31)])
def test_the_attackers_view_is_the_one_noise_is_made_for(shape):
    pixels = np.random.default_rng(0).integers(0, 256, (*shape, 3), dtype=np.uint8)
    view = np.asarray(centre(Image.fromarray(pixels), 32)).transpose(2, 0, 1)
    assert np.array_equal(view, to_view(pixels, 32))


def test_very_long_pictures_stay_small():
    pixels = np.random.default_rng(0).integers(0, 256, (4, 4001, 3), dtype=np.uint8)
    middle = np.asarray(centre(Image.fromarray(pixels[:, 1900:2101]), 8))
    assert centre(Image.fromarray(pixels), 8).size == (8, 8)
    assert np.abs(np.asarray(centre(Image.fromarray(pixels), 8)).astype(int) - middle).max() <= 1


# One attacker


def test_the_same_seed_gives_the_same_numbers(clean, unseen):
    pairs, judged = read_pairs([clean], 32), read_pairs([unseen], 32)
    first, again, other = (list(train(pairs, judged, "tiny-resnet", SMALL, seed)) for seed in (0, 0, 1))
    assert first == again
    assert first[1].loss != other[1].loss
    assert first[0].epoch == 0 and first[0].loss is None and len(first) == 2


def test_training_moves_towards_the_pairs(clean):
    pairs = read_pairs([clean], 32)
    settings = VerifySettings(attackers=("tiny-resnet",), epochs=6, batch=16, size=32, learning_rate=2e-3)
    results = list(train(pairs, pairs, "tiny-resnet", settings, seed=0))
    assert results[-1].loss < results[1].loss


def watch_steps(monkeypatch, loss=0.0):
    seen = []

    def step(model, optimizer, images, tokens):
        seen.append((images, tokens))
        optimizer.step()
        return torch.tensor(loss)

    monkeypatch.setattr(attackers, "train_step", step)
    return seen


@pytest.mark.parametrize(("steps", "expected"), [(0, 3), (5, 5)])
def test_an_epoch_has_its_steps_and_no_pair_twice_in_a_pass(clean, monkeypatch, steps, expected):
    seen = watch_steps(monkeypatch)
    pairs = read_pairs([clean], 32)
    list(train(pairs, pairs, "tiny-resnet", SMALL, 0, steps))
    assert len(seen) == expected
    images = torch.cat([images for images, _ in seen[:3]])
    distinct = {bytes((image * 255).round().byte().numpy()) for image in images}
    assert len(distinct) == len({bytes(image.contiguous().numpy()) for image in pairs.images}) == 48


def test_every_caption_of_an_image_is_used_in_turn(clean, monkeypatch):
    seen = watch_steps(monkeypatch)
    pairs = read_pairs([clean], 32)
    list(train(pairs, pairs, "tiny-resnet", SMALL, 0, steps=30))
    rows = Counter(tuple(row[row > 0].tolist()) for _, tokens in seen for row in tokens)
    assert len(rows) > 90  # of 96 captions


def test_a_loss_that_is_no_number_is_an_error(clean, monkeypatch):
    watch_steps(monkeypatch, float("nan"))
    pairs = read_pairs([clean], 32)
    with pytest.raises(ValueError, match="lower learning_rate"):
        list(train(pairs, pairs, "tiny-resnet", SMALL, 0))


def test_too_few_pairs_for_a_batch_are_an_error(clean):
    pairs = read_pairs([clean], 32, limit=15)
    with pytest.raises(ValueError, match=r"at most the arm's 15 pairs, got 16"):
        list(train(pairs, pairs, "tiny-resnet", SMALL, 0))


def test_a_trained_model_is_no_attacker_from_scratch(tmp_path):
    with pytest.raises(ValueError, match="train from scratch"):
        new_attacker(str(tmp_path), SMALL, 0)


# The comparison


def test_a_finished_comparison_is_not_trained_again(clean, unseen, tmp_path, monkeypatch):
    calls, out = fake_training(monkeypatch), tmp_path / "out"
    protected = rendered(tmp_path / "protected" / "0.tar", range(48), "zebra ")
    first = compare(clean, {"protected": protected}, unseen, SMALL, out)
    assert len(calls) == 2
    assert compare(clean, {"protected": protected}, unseen, SMALL, out) == first
    assert len(calls) == 2
    two = VerifySettings(attackers=("tiny-resnet",), epochs=1, batch=16, size=32, device="cpu", seeds=2)
    compare(clean, {"protected": protected}, unseen, two, out)
    assert [call[3] for call in calls] == [0, 0, 1, 1]


def test_a_killed_comparison_goes_on(clean, unseen, tmp_path, monkeypatch):
    calls, out = fake_training(monkeypatch), tmp_path / "out"
    first = compare(clean, {"same": clean}, unseen, SMALL, out)
    log = out / "runs.jsonl"
    log.write_bytes(log.read_bytes()[:-40])
    assert compare(clean, {"same": clean}, unseen, SMALL, out) == first
    assert len(calls) == 3
    compare(clean, {"same": clean}, unseen, SMALL, out)
    assert len(calls) == 3


def test_changed_files_or_recipe_are_trained_again(clean, unseen, tmp_path, monkeypatch):
    calls, out = fake_training(monkeypatch), tmp_path / "out"
    protected = rendered(tmp_path / "protected" / "0.tar", range(48), "zebra ")
    compare(clean, {"protected": protected}, unseen, SMALL, out)
    rendered(tmp_path / "protected" / "0.tar", range(48), "giraffe ")
    compare(clean, {"protected": protected}, unseen, SMALL, out)
    assert len(calls) == 3
    longer = VerifySettings(attackers=("tiny-resnet",), epochs=2, batch=16, size=32, device="cpu")
    compare(clean, {"protected": protected}, unseen, longer, out)
    assert len(calls) == 5


def test_without_a_test_no_arm_trains_on_the_held_out_pairs(clean, tmp_path, monkeypatch):
    calls = fake_training(monkeypatch)
    protected = rendered(tmp_path / "protected" / "0.tar", range(48), "zebra ")
    found = compare(clean, {"protected": protected}, None, SMALL)
    held = {f"{i:05}" for i in range(48) if is_held_out(f"{i:05}")}
    assert 0 < len(held) < 16
    for pairs, judged, *_ in calls:
        assert set(judged.keys) == held and not held & set(pairs.keys)
        assert len(pairs) == 48 - len(held)
        assert not any("zebra" in line for lines in judged.captions for line in lines)
    assert calls[1][0].captions[0][0].startswith("zebra")
    assert found.test.pairs == len(held)


def test_arms_get_the_same_keys_and_steps(clean, unseen, tmp_path, monkeypatch):
    calls = fake_training(monkeypatch)
    fewer = rendered(tmp_path / "fewer" / "0.tar", range(20, 64))
    found = compare(clean, {"fewer": fewer}, unseen, SMALL)
    assert [(len(pairs), steps) for pairs, *_, steps in calls] == [(48, 3), (28, 3)]
    assert any("only 28 of the 48 clean pairs" in note for note in notes(found))


def test_training_on_the_test_is_refused(clean):
    with pytest.raises(ValueError, match=r"no arm trains on, got 0\.tar, also in clean"):
        compare(clean, {}, clean, SMALL)


def test_an_arm_cannot_take_the_name_of_clean(clean, unseen):
    with pytest.raises(ValueError, match="names other than clean and test"):
        compare(clean, {"clean": clean}, unseen, SMALL)


# The result


def comparison(**scores):
    """Arms with one seed each: epoch scores by arm; chance is 10 %."""
    runs = tuple(
        Run(arm, arm, "tiny-vit", 0, tuple(epoch(i, score) for i, score in enumerate([0.1, *values])))
        for arm, values in scores.items()
    )
    sources = tuple(Source(arm, 48, 0, {"0.tar": "00"}) for arm in scores)
    return Comparison({}, {}, Source("test", 100, 0, {}), sources, epoch(0, 0.1).metrics, runs)


def test_the_share_of_the_clean_gain():
    found = comparison(clean=[0.2, 0.6, 0.5], same=[0.2, 0.6, 0.5], protected=[0.3, 0.1, 0.05])
    assert found.share("same", "tiny-vit", "last") == found.share("same", "tiny-vit", "best") == 1
    assert found.share("protected", "tiny-vit", "best") == pytest.approx(0.2 / 0.5)
    assert found.share("protected", "tiny-vit", "last") == pytest.approx(-0.05 / 0.4)
    assert "protected: attackers keep at most 40% of the clean gain (tiny-vit, best epoch)." in notes(found)


def test_too_little_to_lose_is_no_verdict():
    found = comparison(clean=[0.12, 0.14], protected=[0.1, 0.1])
    assert found.share("protected", "tiny-vit", "best") is None
    words = " ".join(notes(found))
    assert "too little to lose: verdict not possible" in words and "at most" not in words
    assert [row[-1] for row in grid(found)[-2:]] == ["-", "-"]


def test_a_gain_that_luck_explains_is_no_verdict():
    found = comparison(clean=[0.5], protected=[0.1])
    assert found.share("protected", "tiny-vit", "last") == pytest.approx(0)
    few = Comparison({}, {}, Source("test", 4, 0, {}), found.arms, found.chance, found.runs)
    assert few.share("protected", "tiny-vit", "last") is None
    assert any("expected at least 45.0 with 4 test images" in note for note in notes(few))


def test_the_table():
    lines = to_text(comparison(clean=[0.2, 0.6, 0.5], protected=[0.3, 0.1])).splitlines()
    assert lines[0].split("  ")[0] == "arm"
    assert lines[4].split() == ["clean", "tiny-vit", "last", "3", "50.0", "50.0", "9", "9", "100", "%"]
    assert lines[7].split() == ["protected", "tiny-vit", "best", "1", "30.0", "30.0", "9", "9", "40", "%"]


def test_seeds_are_shown_with_their_spread():
    one = comparison(clean=[0.5])
    other = Run("x", "clean", "tiny-vit", 1, (epoch(0, 0.1), epoch(1, 0.7)))
    both = Comparison({}, {}, one.test, one.arms, one.chance, (*one.runs, other))
    assert grid(both)[3][2:4] == ("last 1", "60.0 (50.0..70.0)")
    assert both.gain("clean", "tiny-vit", "last") == pytest.approx(0.5)


# The command


def run(monkeypatch, capsys, *arguments):
    monkeypatch.setattr(sys, "argv", ["protect", "verify", *arguments])
    with pytest.raises(SystemExit) as end:
        cli.main()
    return end.value.code, *capsys.readouterr()


OPTIONS = ("--attackers", "tiny-resnet", "--epochs", "1", "--batch", "16", "--size", "32", "--device", "cpu")


def test_the_command_trains_prints_and_writes(clean, unseen, tmp_path, monkeypatch, capsys):
    out = tmp_path / "out"
    noisy = rendered(tmp_path / "noisy" / "0.tar", range(48), "zebra ")
    arguments = (clean, noisy, "--test", unseen, "--arm", f"again={clean}", "-o", str(out), *OPTIONS)
    code, table, progress = run(monkeypatch, capsys, *arguments)
    assert code == 0 and "chance, untrained" in table and "Attackers took the files as written" in table
    assert [line.split(",")[0] for line in progress.splitlines()] == ["clean"] * 2 + ["protected"] * 2 + ["again"] * 2
    assert "epoch 1/1: loss" in progress
    assert "| protected | tiny-resnet |" in (out / "report.md").read_text()
    records = json.loads((out / "results.json").read_text())
    assert len(records) == 6 and records[0]["task"] == "zeroshot_retrieval"
    details = json.loads((out / "details.json").read_text())
    assert details["settings"]["batch"] == 16 and "torch" in details["versions"]
    assert len(details["arms"][1]["shards"]["0.tar"]) == 64
    assert str(tmp_path) not in json.dumps(details)

    code, printed, progress = run(monkeypatch, capsys, *arguments, "--json")
    assert code == 0 and json.loads(printed) == details
    assert "loss" not in progress and progress.count("kept from before") == 3


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("{clean}", "{clean}/nowhere"), "no such file"),
        (("{clean}", "{clean}", "--arm", "nameless"), "expected NAME=SHARDS"),
        (("{clean}", "{clean}", "--attackers", "resnet-of-dreams"), "got 'resnet-of-dreams'"),
        (("{clean}", "{clean}", "--batch", "1"), "expected at least 2 pairs"),
        (("{clean}", "{clean}", *OPTIONS, "--batch", "47"), "got 47"),
    ],
)
def test_bad_input_is_one_line_and_exit_2(clean, monkeypatch, capsys, arguments, message):
    code, out, err = run(monkeypatch, capsys, *(text.format(clean=clean) for text in arguments))
    assert code == 2 and not out
    assert message in err.splitlines()[-1] and "Traceback" not in err


# The border


def imports(module):
    """Modules of the package that one of them imports, by its source."""
    path = Path(protect.__file__).parent / Path(*module.split(".")[1:])
    path = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
    if not path.exists():
        return set()
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    return {name for name in found if name.startswith("protect.")}


def test_the_verifier_cannot_see_how_the_files_were_made():
    folder = Path(protect.__file__).parent / "verify"
    todo = {f"protect.verify.{path.stem}".removesuffix(".__init__") for path in folder.glob("*.py")}
    assert "protect.verify.arms" in todo
    seen = set()
    while todo:
        module = todo.pop()
        seen.add(module)
        todo |= imports(module) - seen
    assert "protect.surrogate" in seen  # the walk goes beyond the folder
    hidden = ("protect.methods", "protect.protector", "protect.trigger", "protect.publish")
    assert not [module for module in seen if module.startswith(hidden)]
