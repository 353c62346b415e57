"""`protect unlearn` from its arguments to what it leaves behind."""

import json
import subprocess
import sys

import pytest
import torch

from protect.clip.models import TINY
from protect.clip.open_clip_import import open_clip
from protect.settings.unlearn import UNLEARN_METHODS, ForgetSettings, UnlearnSettings
from protect.unlearn.checkpoint import load_model, save_model
from protect.unlearn.methods import METHODS
from protect.unlearn.result import load_result

CPU = torch.device("cpu")
FEW = ("--steps", 2, "--batch", 2, "--epochs", 1, "--size", 32, "--device", "cpu", "--step-size", 0.001)


@pytest.fixture(scope="module")
def place(tmp_path_factory, make_shard, photo_bytes):
    """A folder with forget, retain and test shards, and the weights of a random tiny-resnet."""
    place = tmp_path_factory.mktemp("place")
    kinds = {"forget": ("cat",) * 4, "retain": ("dog", "boat") * 4, "forget-test": ("cat",) * 3}
    for number, (name, group) in enumerate(kinds.items()):
        (place / name).mkdir()
        samples = {
            f"{number}{i:05}": {"jpg": photo_bytes(seed=100 * number + i), "txt": f"a photo of a {kind}", "cls": kind}
            for i, kind in enumerate(group)
        }
        make_shard(place / name / "00000.tar", samples)
    save_model(load_model("tiny-resnet", "", CPU, size=32), place / "original")
    return place


@pytest.fixture
def go(command, place):
    """go("--method", "ga", ...): the command on these pairs."""

    def run(*arguments, weights="original", **flags):
        pairs = ("--forget", place / "forget", "--retain", place / "retain")
        return command("unlearn", "tiny-resnet", "--weights", place / weights, *pairs, *FEW, *arguments)

    return run


def test_a_model_forgets_and_loads_in_open_clip(go, place, tmp_path):
    ran = go("-o", tmp_path / "out", "--forget-test", place / "forget-test")
    assert ran.code == 0, ran.err
    assert "forget acc %" in ran.out and "original" in ran.out and "step 2/2" in ran.err
    result = load_result(tmp_path / "out")
    assert result.method == "cliperase" and result.pairs == {"forget": 3, "retain": 8, "own": 4}
    assert result.chance == pytest.approx(1 / 3) and result.retrained is None and result.distance is None
    assert set(result.membership) == {"before", "after"}
    assert all(0 <= one.auc <= 1 and one.error >= 0 for one in result.membership["after"].values())
    config = TINY["tiny-resnet"]
    plain = open_clip().CLIP(**(config | {"vision_cfg": config["vision_cfg"] | {"image_size": 32}}))
    open_clip().load_checkpoint(plain, result.loads)
    original = load_model("tiny-resnet", str(place / "original"), CPU, size=32)
    assert not torch.equal(plain.visual.conv1.weight, original.towers.model.visual.conv1.weight)
    assert result.original == original.fingerprint()
    assert not (tmp_path / "out/state.pt").exists()
    assert ran.out.startswith("Not proven: ") or ran.out.startswith("No: ")
    assert "| original |" in (tmp_path / "out/report.md").read_text()
    assert "<h1>" in (tmp_path / "out/report.html").read_text() and (tmp_path / "out/similarity.png").is_file()
    assert set(result.outside) == {"after"} and (tmp_path / "out/change.png").is_file()
    assert "seen from outside: " in ran.out
    assert "What changed since before" in (tmp_path / "out/report.html").read_text()


def test_a_retrained_model_is_what_others_are_measured_by(go, tmp_path):
    assert go("--method", "retrain", "-o", tmp_path / "gold").code == 0
    ran = go("--method", "ga", "-o", tmp_path / "out", "--retrained", tmp_path / "gold", "--json", "-q", "--strict")
    found = json.loads(ran.out)
    fails = [check["name"] for check in found["verdict"]["checks"] if check["passed"] is False]
    assert ran.code == bool(fails) and ran.err == "" and found["verdict"]["headline"]
    gold = json.loads((tmp_path / "gold/unlearn.json").read_text())
    assert found["time_share"] == pytest.approx(found["course"]["cpu_seconds"] / gold["course"]["cpu_seconds"])
    assert 0 < found["distance"]["after"] <= 1 and found["distance"]["before"] > 0
    assert 0 <= found["retrained"]["forget"]["accuracy"] <= 1 and gold["retrained"] is None
    assert found["settings"]["method"] == "ga" and found["settings"]["losses"]["floor"] == 1.0


def test_a_receipt_is_asked_before_and_after(go, command, place, photo_bytes, tmp_path):
    (tmp_path / "in").mkdir()
    for number in range(4):
        (tmp_path / f"in/{number}.jpg").write_bytes(photo_bytes(seed=number, size=(64, 64)))
        (tmp_path / f"in/{number}.txt").write_text(f"a boat with {number} sails")
    made = command("photos", tmp_path / "in", tmp_path / "published", "-q", "--receipt", tmp_path / "receipt")
    assert made.code == 0, made.err
    ran = go("--method", "ga", "-o", tmp_path / "out", "--receipt", tmp_path / "receipt")
    assert ran.code == 0, ran.err
    found = load_result(tmp_path / "out")
    assert set(found.receipt) == {"before", "after"} and all(0 < p <= 1 for p in found.receipt.values())
    assert "the receipt's p-value goes from" in ran.out
    assert set(found.calibration) == {"before", "after"}
    assert sum(count for _, _, count in found.calibration["after"].points) == found.pairs["forget"]
    none = go("-o", tmp_path / "none", "--receipt", place / "forget")
    assert none.code == 2 and "found no pairs" in none.err and not (tmp_path / "none").exists()
    both = command(
        "unlearn", "tiny-resnet", "--audit", "--forget", place / "forget", "--receipt", tmp_path / "receipt"
    )
    assert both.code == 2 and "protect audit MODEL --receipt DIR" in both.err


def test_hyperbolic_methods_need_hyperbolic_weights(go, place, tmp_path):
    refused = go("--method", "hac", "-o", tmp_path / "out")
    assert refused.code == 2 and "expected meru or hycoclip for hac, got sphere" in refused.err
    save_model(load_model("tiny-resnet", "", CPU, "meru", 32), place / "meru")
    ran = go("--method", "hac", "-o", tmp_path / "out", weights="meru")
    assert ran.code == 0, ran.err
    assert json.loads((tmp_path / "out/head.json").read_text())["geometry"] == "meru"


def test_lora_leaves_plain_weights(go, place, tmp_path):
    ran = go("--lora", "--rank", 2, "-o", tmp_path / "out")
    assert ran.code == 0, ran.err
    after = load_model("tiny-resnet", str(tmp_path / "out"), CPU, size=32).state_dict()
    before = load_model("tiny-resnet", str(place / "original"), CPU, size=32).state_dict()
    changed = {name for name in before if not torch.equal(before[name], after[name])}
    assert set(before) == set(after)
    assert any("c_fc" in name for name in changed) and any("conv1" in name for name in changed)
    assert not any("token_embedding" in name or ("attn" in name and "visual" not in name) for name in changed)


def test_an_audit_changes_nothing_and_shows_both_moments(command, place, tmp_path):
    save_model(load_model("tiny-resnet", "", CPU, size=32, seed=1), tmp_path / "after")
    options = ("--weights", tmp_path / "after", "--before", place / "original", "--size", 32, "--device", "cpu")
    pairs = ("--forget", place / "forget", "--forget-test", place / "forget-test")
    ran = command("unlearn", "--audit", "tiny-resnet", *options, *pairs, "-o", tmp_path / "audit")
    assert ran.code == 0, ran.err
    assert "4 pairs, 3 held out" in ran.out and "AUC by margin" in ran.out and " -> " in ran.out
    assert ran.out.startswith("No sign of it")
    assert (tmp_path / "audit/similarity.png").read_bytes().startswith(b"\x89PNG")
    assert json.loads((tmp_path / "audit/audit.json").read_text())["before"]["own"] <= 1
    bare = command("unlearn", "--audit", "tiny-resnet", *options[:2], "--size", 32, *pairs[:2], "--json")
    assert json.loads(bare.out)["now"]["membership"] is None and json.loads(bare.out)["picture"] is None


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("tiny-resnet",), "expected --forget and --retain"),
        (("tiny-resnet", "--audit"), "expected --forget"),
        (("tiny-resnet", "--forget", "x", "--retain", "y"), "expected -o OUT"),
        (("tiny-resnet", "--forget", "x", "--retain", "y", "-o", "z"), "weights: expected those of a trained"),
        (("tiny-resnet", "--audit", "--forget", "x"), "weights: expected those of a trained"),
        (("tiny-resnet", "--forget", "x", "--retain", "y", "-o", "z", "--method", "retrain"), "x: expected a local"),
        (("tiny-resnet", "--method", "magic"), "magic"),
        (("tiny-resnet", "--impair", "2"), "impair: expected a share"),
    ],
)
def test_wrong_use_is_told_in_one_line(command, arguments, says, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    ran = command("unlearn", *arguments)
    assert ran.code == 2 and says in ran.err
    assert not list(tmp_path.iterdir())


def test_settings_name_every_method():
    assert set(UNLEARN_METHODS) == set(METHODS)


@pytest.mark.parametrize(
    ("cls", "values"),
    [
        (UnlearnSettings, {"method": "magic"}),
        (UnlearnSettings, {"batch": 1}),
        (UnlearnSettings, {"steps": 0}),
        (UnlearnSettings, {"limit": -1}),
        (ForgetSettings, {"erase": -1.0}),
        (ForgetSettings, {"impair": 1.5}),
        (ForgetSettings, {"consistency": "neither"}),
    ],
)
def test_settings_out_of_bounds_are_refused(cls, values):
    ((name, value),) = values.items()
    with pytest.raises(ValueError, match=rf"{name}.*: expected .*{value}"):
        cls(**values)


def test_a_folder_without_a_result_is_refused(tmp_path):
    with pytest.raises(ValueError, match=r"expected the unlearn.json of an unlearning run"):
        load_result(tmp_path)


def test_help_needs_no_torch():
    code = "import sys; from protect.cli.unlearn import unlearn; print('torch' in sys.modules)"
    run = subprocess.run([sys.executable, "-P", "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "False"
