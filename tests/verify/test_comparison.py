"""The comparison: one recipe for every row, finished runs stored, and the verifier fails what deserves it."""

import io
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from protect.settings.verify import VerifySettings
from protect.verify import comparison as module
from protect.verify.comparison import compare
from protect.verify.countermeasures import COUNTERMEASURES
from protect.verify.countermeasures.base import Regime
from protect.verify.reading.pairs import read_pairs, reduced
from protect.verify.reading.test_set import is_held_out
from protect.verify.records import MANDATORY, Cheap, EpochResult, Pictures
from protect.verify.runs import build, timing
from protect.verify.runs import schedule as trainings

COLOURS = {"red": (220, 30, 30), "green": (30, 200, 60), "blue": (40, 60, 220), "white": (240, 240, 240)}
SMALL = VerifySettings(
    attackers=("tiny-resnet",), epochs=1, batch=8, size=32, countermeasures=("none",), mix=(), device="cpu", jobs=1
)
RANKS = {"median_rank": 9.0, "mean_percentile_rank": 0.6}
CHECKED = Cheap((), {}, 8.0, 30.0, 0.9, None, None, 0.5, {})


def png(pixels):
    data = io.BytesIO()
    Image.fromarray(pixels).save(data, "PNG")
    return data.getvalue()


def scene(number, noise=0):
    """A block of one colour on a dark ground of another, its place by number, and two captions that say so."""
    names = list(COLOURS)
    block, ground = names[number % 4], names[number // 4 % 4]
    image = Image.new("RGB", (32, 32), tuple(value // 3 for value in COLOURS[ground]))
    image.paste(COLOURS[block], (number // 16 % 5 * 5, 8, number // 16 % 5 * 5 + 10, 24))
    change = noise * np.random.default_rng(number).choice([-1, 1], (32, 32, 3))
    pixels = (np.asarray(image) + change).clip(0, 255).astype(np.uint8)
    return pixels, (f"a {block} block on {ground}, number {number}", f"also number {number}")


@pytest.fixture
def rendered(make_shard, tmp_path):
    """rendered(name, numbers, words before each caption, noise, captions a picture): a folder with a shard."""

    def make(name, numbers, words="", noise=0, captions=2):
        samples = {}
        for number in numbers:
            pixels, lines = scene(number, noise)
            text = "\n".join(words.format(word="uvwxyz"[number % 6]) + line for line in lines[:captions])
            samples[f"{number:05}"] = {"png": png(pixels), "json": {}, "txt": text}
        (tmp_path / name).mkdir()
        make_shard(tmp_path / name / "0.tar", samples)
        return str(tmp_path / name)

    return make


@pytest.fixture
def clean(rendered):
    return rendered("clean", range(48))


@pytest.fixture
def protected(rendered):
    return rendered("protected", range(48), "zebra {word} ", 8)


@pytest.fixture
def unseen(rendered):
    return rendered("test", range(48, 64))


def epoch(number, score, seconds=1.0):
    ways = ("image_retrieval", "text_retrieval")
    metrics = {f"{way}_recall@{k}": score for way in ways for k in (1, 5, 10)}
    metrics |= {f"{way}_{name}": value for way in ways for name, value in RANKS.items()}
    return EpochResult(number, 2.5, metrics, seconds, pictures=Pictures((score,) * 16, (0.6,) * 16))


@pytest.fixture
def calls(monkeypatch):
    """Training and checks that take no time; a list of what training was called with."""
    made = []

    def fake(pairs, test, name, settings, seed, steps=None, defence=None, transformed=None):
        if settings.learning_rate > 1 and defence:
            raise ValueError("expected a finite loss, got nan; lower learning_rate")
        call = {"pairs": pairs, "test": test, "seed": seed, "steps": steps, "view": settings.augment}
        call |= {"defence": defence, "transformed": transformed, "epochs": settings.epochs}
        made.append(call | {"batch": settings.batch, "rate": settings.learning_rate, "size": settings.size})
        return iter([epoch(number, 1.0 if number else 0.65) for number in range(settings.epochs + 1)])

    monkeypatch.setattr(trainings, "train", fake)
    monkeypatch.setattr(timing, "train", fake)
    monkeypatch.setattr(module, "cheap", lambda *_: CHECKED)
    monkeypatch.setattr(module, "save", lambda *_: None)
    return made


def test_every_row_has_the_same_keys_steps_and_test(clean, protected, unseen, calls):
    found = compare(clean, protected, unseen, SMALL)
    assert [arm.name for arm in found.arms] == list(MANDATORY)
    assert [arm.claim for arm in found.arms] == [False] * 3 + [True] * 3
    assert len(calls) == 5  # stripped of its words, a caption is the clean one: one training serves both rows
    assert [run.arm for run in found.runs] == list(MANDATORY) and len({run.id for run in found.runs}) == 5
    assert {call["pairs"].keys for call in calls} == {tuple(f"{i:05}" for i in range(48))}
    assert {call["steps"] for call in calls} == {6} and {call["view"] for call in calls} == {"openclip"}
    assert {call["test"].keys for call in calls} == {tuple(f"{i:05}" for i in range(48, 64))}
    assert found.cheap is CHECKED and found.test.pairs == 16 and found.refusal == ""
    assert "8/255" in found.arms[1].note and "2 before" in found.arms[4].note


def test_rows_train_on_what_they_say(clean, protected, unseen, calls):
    compare(clean, protected, unseen, SMALL)
    first = [call["pairs"].captions[7][0] for call in calls]
    plain = scene(7)[1][0]
    assert first[0] == first[1] == first[4] == plain
    assert first[2] != plain and first[2].endswith(plain) and first[3] == f"zebra v {plain}"
    noisy = [not np.array_equal(call["pairs"].pictures[7], scene(7)[0]) for call in calls]
    assert noisy == [False, True, False, True, True]


def test_countermeasures_mixtures_and_further_arms_are_rows(clean, protected, unseen, calls, rendered):
    other = rendered("other", range(20, 60), "giraffe ")
    asked = ("grayscale", "strip-first-1", "strong-augmentation", "ueraser-light")
    settings = replace(SMALL, countermeasures=asked, mix=(0.5,))
    found = compare(clean, protected, unseen, settings, {"other": other})
    rows = {run.arm: call for run, call in zip(found.runs[:4] + found.runs[5:], calls, strict=True)}
    assert list(rows)[5:] == ["other", "strong-augmentation", "grayscale", "ueraser-light"][:1] + [
        row for row in [arm.name for arm in found.arms][7:]
    ]
    grey = rows["grayscale"]["pairs"]
    assert np.ptp(grey.pictures[3], axis=2).max() == 0 and grey.captions[3][0].startswith("zebra x")
    assert rows["strip-first-1"]["pairs"].captions[3][0].startswith("x a white block")
    assert rows["strong-augmentation"]["view"] == "strong" and rows["ueraser-light"]["defence"] == "ueraser-light"
    assert len(rows["other"]["pairs"]) == 28 and {call["steps"] for call in calls} == {6}
    mixed, absent = rows["mix-50"]["pairs"], rows["absent-50"]["pairs"]
    assert (len(mixed), len(absent)) == (48, 24)
    assert sum(lines[0].startswith("zebra") for lines in mixed.captions) == 24
    arms = {arm.name: arm for arm in found.arms}
    assert arms["grayscale"].claim and not arms["other"].claim and not arms["mix-50"].claim
    assert (
        arms["absent-50"].pairs == 24 and arms["other"].shards != arms["grayscale"].shards == arms["protected"].shards
    )


def test_a_row_that_changes_pictures_is_judged_on_transformed_test_pictures(clean, protected, unseen, calls):
    asked = ("grayscale", "shuffled-words", "half-words", "strong-augmentation")
    found = compare(clean, protected, unseen, replace(SMALL, countermeasures=asked))
    rows = dict(zip([run.arm for run in found.runs if run.arm != "clean-captions"], calls, strict=True))
    plain, gray = rows["grayscale"]["test"], rows["grayscale"]["transformed"]
    assert gray.keys == plain.keys and gray.captions == plain.captions
    assert np.ptp(gray.images.numpy(), axis=1).max() == 0 and np.ptp(plain.images.numpy(), axis=1).max() > 50
    shuffled = rows["shuffled-words"]["transformed"]
    assert (shuffled.images == plain.images).all() and shuffled.captions != plain.captions
    assert sorted(shuffled.captions[0][0].split()) == sorted(plain.captions[0][0].split())
    judged = {name for name, call in rows.items() if call["transformed"] is not None}
    assert judged == {"grayscale", "shuffled-words"}


@pytest.mark.parametrize(("size", "reads"), [(64, 0), (16, 1)])
def test_files_are_read_again_for_an_edit_only_where_pictures_were_reduced(
    clean, protected, unseen, calls, monkeypatch, size, reads
):
    read = []
    monkeypatch.setattr(build, "read_pairs", lambda *given, **more: read.append(given) or read_pairs(*given, **more))
    compare(clean, protected, unseen, replace(SMALL, size=size, countermeasures=("grayscale",)))
    gray, published = calls[-1]["pairs"], calls[3]["pairs"]
    assert len(read) == reads and gray.captions == published.captions
    stored = Image.fromarray(scene(3, 8)[0]).convert("L").convert("RGB")
    assert np.array_equal(gray.pictures[3], np.asarray(reduced(stored, size)))


def test_a_matched_control_does_to_clean_files_what_its_row_does_to_published_ones(clean, protected, unseen, calls):
    settings = replace(SMALL, countermeasures=("clean:grayscale", "grayscale", "longer"), epochs=2)
    found = compare(clean, protected, unseen, settings)
    rows = dict(zip([run.arm for run in found.runs if run.arm != "clean-captions"], calls, strict=True))
    assert list(rows)[5:] == ["grayscale", "clean:grayscale", "longer", "clean:longer"]
    assert rows["clean:grayscale"]["pairs"].captions == rows["clean"]["pairs"].captions
    assert np.ptp(rows["clean:grayscale"]["pairs"].pictures[3], axis=2).max() == 0
    assert {name: call["epochs"] for name, call in rows.items()} == dict.fromkeys(rows, 2) | {
        "longer": 8,
        "clean:longer": 8,
    }
    assert rows["longer"]["pairs"].captions == rows["protected"]["pairs"].captions
    assert rows["clean:longer"]["pairs"].captions == rows["clean"]["pairs"].captions
    arms = {arm.name: arm for arm in found.arms}
    assert arms["longer"].claim and not arms["clean:longer"].claim
    assert arms["clean:grayscale"].shards == arms["clean"].shards


def test_rows_at_another_resolution_or_batch_see_the_same_pairs(clean, protected, unseen, calls, monkeypatch):
    row = replace(COUNTERMEASURES["large-batch-512"], name="large-batch-24", regime=Regime(batch=24))
    monkeypatch.setitem(COUNTERMEASURES, row.name, row)
    asked = ("large-batch-24", "half-resolution", "clean:half-resolution", "large-batch-512")
    found = compare(clean, protected, unseen, replace(SMALL, size=96, countermeasures=asked))
    rows = dict(zip([run.arm for run in found.runs if run.arm != "clean-captions"], calls, strict=True))
    large, half, control = (rows[name] for name in ("large-batch-24", "half-resolution", "clean:half-resolution"))
    assert (large["batch"], large["steps"]) == (24, 2) and large["rate"] == pytest.approx(
        SMALL.learning_rate * 3**0.5
    )
    assert half["size"] == 64 and half["steps"] == 6 and half["test"].images.shape[-2:] == (64, 64)
    assert rows["protected"]["size"] == 96 and rows["protected"]["test"].images.shape[-2:] == (96, 96)
    assert half["pairs"].keys == control["pairs"].keys == rows["clean"]["pairs"].keys
    assert control["pairs"].captions == rows["clean"]["pairs"].captions
    assert any(text.startswith("large-batch-512: batch: expected at most the 48 pairs") for text in found.left_out)


def test_ways_of_training_are_no_rows_of_attackers_that_are_fitted_once(clean, protected, unseen, calls):
    asked = replace(SMALL, attackers=("tiny-resnet", "pretrained-frozen"), countermeasures=("ueraser", "grayscale"))
    found = compare(clean, protected, unseen, asked)
    attackers = {arm.name: [run.attacker for run in found.runs if run.arm == arm.name] for arm in found.arms}
    assert attackers["ueraser"] == ["tiny-resnet"] and attackers["grayscale"] == [*asked.attackers]
    assert found.refusal == "" and found.retained("ueraser", "pretrained-frozen", "best") is None
    alone = compare(clean, protected, unseen, replace(asked, attackers=("pretrained-frozen",)))
    assert [arm.name for arm in alone.arms] == [*MANDATORY, "grayscale"]
    assert "ueraser: changes nothing for attackers that do not train by steps" in alone.left_out


def test_other_captions_are_a_row_when_they_are_named(clean, protected, unseen, calls, rendered, tmp_path):
    other = rendered("other", range(48), "in other words ")
    settings = replace(SMALL, recaptions=other, countermeasures=("recaptioned",))
    for _ in range(2):
        found = compare(clean, protected, unseen, settings, out=tmp_path / "out")
    row, control = (call["pairs"].captions[3] for call in calls[-2:])
    assert row[0].startswith("in other words a") and control == scene(3)[1]
    assert [arm.name for arm in found.arms][-2:] == ["recaptioned", "clean:recaptioned"]
    count = len(calls)
    replaced = rendered("replaced", range(48), "once more ")
    (tmp_path / "replaced" / "0.tar").replace(tmp_path / "other" / "0.tar")
    compare(clean, protected, unseen, settings, out=tmp_path / "out")
    assert len(calls) == count + 2 and calls[-2]["pairs"].captions[3][0].startswith("once more") and replaced


def test_the_control_of_fewer_captions_or_pairs_has_as_many_clean_ones(clean, unseen, calls, rendered, monkeypatch):
    few = rendered("few", range(40), "zebra ", 8, captions=1)
    last = replace(COUNTERMEASURES["length-filter"], name="last", captions=lambda sets: [(), *sets[1:]])
    monkeypatch.setitem(COUNTERMEASURES, "last", last)
    asked = ("some-captions", "last", "clean:last")
    found = compare(clean, few, unseen, replace(SMALL, countermeasures=asked))
    rows = dict(zip([run.arm for run in found.runs], calls, strict=True))
    row, control, last, clean_last = (
        rows[name]["pairs"] for name in ("some-captions", "clean:some-captions", "last", "clean:last")
    )
    assert row.captions == control.captions == tuple((scene(number)[1][1],) for number in range(40))
    assert np.array_equal(control.pictures[3], scene(3)[0]) and not np.array_equal(row.pictures[3], scene(3)[0])
    assert last.keys == clean_last.keys == tuple(f"{number:05}" for number in range(1, 40))
    assert clean_last.captions[0] == scene(1)[1][:1]  # one each, as was published
    arms = {arm.name: arm for arm in found.arms}
    assert not arms["clean:some-captions"].claim and arms["clean:some-captions"].dropped_words > 0.4


def test_that_control_is_trained_anew_when_other_pairs_were_published(clean, unseen, calls, rendered, tmp_path):
    settings = replace(SMALL, countermeasures=("some-captions",))
    for name, count in (("all", 48), ("most", 40)):
        compare(clean, rendered(name, range(count), "zebra ", 8, captions=1), unseen, settings, out=tmp_path / "out")
        assert len(calls[-1]["pairs"]) == count and calls[-1]["pairs"].captions[3] == scene(3)[1][1:]


def test_what_a_row_drops_is_stored_with_its_run(clean, protected, unseen, calls, tmp_path):
    settings = replace(SMALL, countermeasures=("strip-first-2", "length-filter"))
    for _ in range(2):
        arms = {arm.name: arm for arm in compare(clean, protected, unseen, settings, out=tmp_path / "out").arms}
        assert arms["strip-first-2"].dropped_pairs == 0 and 0.2 < arms["strip-first-2"].dropped_words < 0.4
        assert arms["length-filter"].dropped_words == arms["protected"].dropped_words == 0


def test_untouched_captions_leave_rows_without_sense_out_and_the_verdict_standing(clean, unseen, calls, rendered):
    keyed = rendered("keyed", range(48), noise=8)
    found = compare(clean, keyed, unseen, replace(SMALL, countermeasures=("half-words",)))
    assert [arm.name for arm in found.arms] == ["clean", "random-noise", "protected", "half-words"]
    assert found.inapplicable["trigger-stripped"] == "captions unchanged: nothing to strip"
    assert set(found.inapplicable) == {"random-trigger", "trigger-stripped", "clean-captions"}
    assert len(calls) == 4 and found.refusal == "" and found.weakest() is not None


def test_test_pictures_that_are_trained_on_are_left_out(clean, protected, rendered, calls):
    mixed = rendered("mixed", range(40, 64))
    found = compare(clean, protected, mixed, SMALL)
    assert found.test.pairs == 16 and calls[0]["test"].keys[0] == "00048"
    assert "8 test pictures that are, byte for byte, also among the clean ones" in found.left_out
    with pytest.raises(ValueError, match="test: expected pictures that no arm trains on, got 8 that are all in"):
        compare(clean, protected, rendered("seen", range(40, 48)), SMALL)


def test_held_out_pictures_are_not_those_of_other_keys(make_shard, tmp_path, calls):
    pictures, held = {}, [i for i in range(60) if is_held_out(f"{i:05}")]
    for number in range(60):
        same = 0 if number == held[0] else number  # key 0 is trained on
        pictures[f"{number:05}"] = {"png": png(scene(same)[0]), "txt": f"number {number}"}
    assert not is_held_out("00000")
    shard = str(make_shard(tmp_path / "0.tar", pictures))
    found = compare(shard, shard, None, SMALL)
    assert found.test.pairs == len(held) - 1 and f"{held[0]:05}" not in calls[0]["test"].keys


def test_a_row_that_cannot_be_trained_is_left_out_with_its_reason(clean, protected, unseen, calls):
    said = []
    settings = replace(SMALL, countermeasures=("ueraser", "blur"), learning_rate=2.0, mix=(0.9,))
    found = compare(clean, protected, unseen, settings, progress=said.append)
    assert [arm.name for arm in found.arms] == [*MANDATORY, "blur", "mix-90"]
    assert "ueraser: expected a finite loss, got nan; lower learning_rate" in found.left_out
    assert any(
        text.startswith("absent-90: batch: expected at most the 5 pairs of absent-90") for text in found.left_out
    )
    assert any(line.startswith("ueraser: left out") for line in said)


def test_too_few_pairs_for_a_batch_are_an_error(clean, protected, unseen, calls):
    with pytest.raises(ValueError, match="at most the 48 pairs of clean"):
        compare(clean, protected, unseen, replace(SMALL, batch=49))


def test_a_finished_comparison_is_not_trained_again(clean, protected, unseen, calls, tmp_path):
    first = compare(clean, protected, unseen, SMALL, out=tmp_path / "out")
    assert compare(clean, protected, unseen, SMALL, out=tmp_path / "out") == first
    assert len(calls) == 5
    compare(clean, protected, unseen, replace(SMALL, seeds=2, countermeasures=("blur",)), out=tmp_path / "out")
    assert [call["seed"] for call in calls[5:]] == [1, 1, 1, 1, 1, 0, 1]


def test_a_killed_comparison_goes_on(clean, protected, unseen, calls, tmp_path):
    first = compare(clean, protected, unseen, SMALL, out=tmp_path / "out")
    log = tmp_path / "out" / "runs.jsonl"
    log.write_bytes(log.read_bytes()[:-40])
    assert compare(clean, protected, unseen, SMALL, out=tmp_path / "out") == first
    assert len(calls) == 6
    compare(clean, protected, unseen, SMALL, out=tmp_path / "out")
    assert len(calls) == 6


@pytest.mark.parametrize(
    "change",
    [{"epochs": 2}, {"batch": 9}, {"learning_rate": 2e-3}, {"weight_decay": 0.1}, {"augment": "none"}, {"limit": 40}],
)
def test_another_recipe_is_trained_again(clean, protected, unseen, calls, tmp_path, change):
    compare(clean, protected, unseen, SMALL, out=tmp_path / "out")
    compare(clean, protected, unseen, replace(SMALL, **change), out=tmp_path / "out")
    assert len(calls) == 10


def test_other_files_are_trained_again_and_clean_ones_are_not(clean, protected, unseen, calls, rendered, tmp_path):
    compare(clean, protected, unseen, SMALL, out=tmp_path / "out")
    other = rendered("other", range(48), "giraffe ", 8)
    compare(clean, other, unseen, SMALL, out=tmp_path / "out")
    # clean and its random noise of the same size are kept; words, published, published without its words are new
    assert len(calls) == 5 + 3


def test_without_a_test_no_row_trains_on_the_held_out_pairs(clean, protected, calls):
    found = compare(clean, protected, None, SMALL)
    held = {f"{i:05}" for i in range(48) if is_held_out(f"{i:05}")}
    assert 0 < len(held) < 16 and found.test.pairs == len(held)
    for call in calls:
        assert set(call["test"].keys) == held and not held & set(call["pairs"].keys)
        assert len(call["pairs"]) == 48 - len(held)
        assert not any("zebra" in line for lines in call["test"].captions for line in lines)


def test_too_few_pairs_to_hold_some_out_are_an_error(rendered, calls):
    few = rendered("few", [i for i in range(40) if not is_held_out(f"{i:05}")])
    with pytest.raises(ValueError, match=r"a tenth of the clean pairs to hold out, got none .*; name test pairs"):
        compare(few, few, None, SMALL)


def test_photo_folders_are_compared_like_shards(calls, tmp_path):
    for folder, words, noise in (("clean", "", 0), ("published", "zebra ", 8)):
        (tmp_path / folder / "a").mkdir(parents=True)
        rows = ["file,caption"]
        for i in range(60):
            pixels, lines = scene(i, noise)
            (tmp_path / folder / "a" / f"{i:05}.png").write_bytes(png(pixels))
            rows.append(f'{i:05}.png,"{words}{lines[0]}"')
        (tmp_path / folder / "a" / "captions.csv").write_text("\n".join(rows))
    found = compare(str(tmp_path / "clean"), str(tmp_path / "published"), None, SMALL)
    assert len(calls) == 5 and calls[0]["pairs"].keys[0] == "a/00000"
    assert list(found.arms[0].shards) == ["60 photos"] and "1 before" in found.arms[4].note


def test_a_budget_leaves_out_and_the_same_again(clean, protected, unseen, calls, tmp_path, monkeypatch):
    asked = ("grayscale", "blur")
    settings = replace(SMALL, seeds=3, countermeasures=asked, mix=(0.5,), budget=1e-9)
    monkeypatch.setattr(timing, "train", lambda *_, **__: iter([epoch(i, 0.5, 4.0) for i in range(3)]))
    found = compare(clean, protected, unseen, settings, out=tmp_path / "out")
    assert [arm.name for arm in found.arms] == list(MANDATORY) and found.settings["seeds"] == 1
    said = " ".join(found.left_out)
    assert "seeds: 1 of 3 (budget" in said and "rows: grayscale, blur, mix-50, absent-50" in said
    assert "nothing more can go" in said
    count = len(calls)
    monkeypatch.setattr(timing, "train", lambda *_, **__: iter([epoch(i, 0.5, 0.0) for i in range(3)]))
    assert compare(clean, protected, unseen, settings, out=tmp_path / "out") == found and len(calls) == count
    compare(clean, protected, unseen, replace(settings, budget=1e9), out=tmp_path / "out")
    assert len(calls) > count


def test_training_on_the_test_is_refused(clean, protected, calls):
    with pytest.raises(ValueError, match=r"no arm trains on, got 0\.tar, also in clean"):
        compare(clean, protected, clean, SMALL)


@pytest.mark.parametrize("name", ["clean", "test", "protected", "random-noise", "jpeg-75"])
def test_an_arm_cannot_take_a_name_of_the_verifiers(clean, protected, unseen, calls, name):
    with pytest.raises(ValueError, match="expected names of their own"):
        compare(clean, protected, unseen, SMALL, {name: clean})


# The verifier itself, on trainings that teach something


def test_the_same_seed_gives_the_same_report_twice(clean, protected, unseen, monkeypatch):
    monkeypatch.setattr(module, "cheap", lambda *_: CHECKED)
    settings = replace(SMALL, batch=24)
    first, again = (compare(clean, protected, unseen, settings) for _ in range(2))
    assert first == again and len({run.epochs[1].loss for run in first.runs}) == 5


@pytest.mark.slow
def test_two_processes_find_what_one_does(clean, protected, unseen, monkeypatch):
    monkeypatch.setattr(module, "cheap", lambda *_: CHECKED)
    asked = replace(SMALL, batch=24, seeds=2, countermeasures=("grayscale", "strong-augmentation"), mix=(0.5,))
    one, two = (compare(clean, protected, unseen, replace(asked, jobs=jobs)) for jobs in (1, 2))
    assert two.runs == one.runs and two.arms == one.arms


def test_clean_passed_off_as_protected_teaches_the_same(clean, rendered, unseen, monkeypatch):
    monkeypatch.setattr(module, "cheap", lambda *_: CHECKED)
    found = compare(clean, rendered("same", range(48)), unseen, replace(SMALL, batch=24))
    assert [run.arm for run in found.runs] == ["clean", "protected"]
    assert found.runs[0].epochs == found.runs[1].epochs
    assert list(found.inapplicable) == ["random-noise", "random-trigger", "trigger-stripped", "clean-captions"]


WORDS = ["amber", "basil", "cedar", "delta", "ember", "fjord", "grove", "heron", "inlet", "jetty", "kayak", "lilac"]
LEARNS = replace(SMALL, epochs=16, batch=64, learning_rate=2e-3, augment="none", require="gain<=0.2")


def block(number):
    """A square of one colour on another, at one of nine places, with grain of its own; a caption that says so."""
    random = np.random.default_rng(number)
    more = {"yellow": (230, 220, 40), "black": (15, 15, 15), "pink": (240, 130, 190), "brown": (120, 70, 20)}
    colours = COLOURS | more
    (own, ground), (x, y) = random.choice(list(colours), 2, replace=False), random.integers(0, 3, 2)
    image = Image.new("RGB", (32, 32), colours[ground])
    image.paste(colours[own], (11 * int(x), 11 * int(y), 11 * int(x) + 10, 11 * int(y) + 10))
    place = f"{('top', 'centre', 'bottom')[y]} {('left', 'middle', 'right')[x]}"
    grain = np.random.default_rng((number, 1)).integers(-2, 3, (32, 32, 3))
    image = Image.fromarray((np.asarray(image) + grain).clip(0, 255).astype(np.uint8))
    return image, f"a {own} block on {ground}, {place}", random


@pytest.fixture(scope="module")
def learned(make_shard, tmp_path_factory):
    """learned(name, change): the comparison of 1,280 pairs with change(picture, caption, random) of them."""
    folder = tmp_path_factory.mktemp("blocks")

    def shard(name, numbers, change):
        samples = {}
        for number in numbers:
            picture, caption = change(*block(number))
            samples[f"{number:05}"] = {"png": png(np.asarray(picture)), "txt": caption}
        return str(make_shard(folder / f"{name}.tar", samples))

    def make(name, change):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(module, "cheap", lambda *_: CHECKED)
            same = ("clean", range(1280)), ("test", range(1280, 1680))
            clean, unseen = (shard(*files, lambda image, caption, _: (image, caption)) for files in same)
            return compare(clean, shard(name, range(1280), change), unseen, LEARNS, out=folder / "out")

    return make


def as_jpeg(image, caption, random):
    data = io.BytesIO()
    image.save(data, "JPEG", quality=95)
    return Image.open(data), caption


@pytest.mark.slow
def test_clean_passed_off_as_protected_keeps_the_clean_gain(learned):
    found = learned("reencoded", as_jpeg)
    assert found.gain("clean", "tiny-resnet", "last") > 0.3
    assert 0.9 < found.retained("protected", "tiny-resnet", "best") < 1.1
    assert not found.passed and not found.refusal


@pytest.mark.slow
def test_a_perfect_shortcut_leaves_nothing(learned):
    found = learned("nonsense", lambda image, caption, random: (image, " ".join(random.choice(WORDS, 6))))
    assert max(found.retained("protected", "tiny-resnet", moment) for moment in ("last", "best")) < 0.05
    weakest = found.weakest()  # but the pictures are clean
    assert weakest.arm == "clean-captions" and weakest.share > 0.9 and not found.passed


@pytest.mark.slow
def test_random_noise_and_words_are_not_certified(learned):
    def change(image, caption, random):
        noise = 8 * random.choice([-1, 1], (32, 32, 3))
        return (np.asarray(image) + noise).clip(0, 255).astype(np.uint8), f"{random.choice(WORDS)} {caption}"

    found = learned("noise", change)
    assert found.weakest().share > 0.5 and not found.passed
