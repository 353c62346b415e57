"""The command, and the border that the verifier keeps."""

import ast
import json
from dataclasses import replace
from pathlib import Path

import pytest

import protect
from protect.verify import comparison
from protect.verify.records import MANDATORY, Cheap, EpochResult
from protect.verify.runs import schedule as trainings

CHECKED = Cheap((), {}, 8.0, 30.0, 0.9, None, None, 0.5, {})
FAST = ("--attackers", "tiny-resnet", "--epochs", "1", "--batch", "4", "--size", "32", "--device", "cpu")
FAST = (*FAST, "--jobs", "1", "--countermeasures", "none", "--mix", "0.5")


@pytest.fixture
def folders(clean, make_shard, pair, tmp_path):
    """Folders of clean, published and test shards."""
    published, test = tmp_path / "published", tmp_path / "test"
    for folder in (published, test):
        folder.mkdir()
    changed = {f"{i:09}": pair(300 + i) | {"txt": f"zebra {pair(i)['txt']}"} for i in range(12)}
    make_shard(published / "00000.tar", changed)
    for shard, numbers in enumerate((range(100, 120), range(120, 132))):
        make_shard(test / f"{shard:05}.tar", {f"{i:09}": pair(i) for i in numbers})
    return clean(tmp_path / "clean", 12), published, test


@pytest.fixture
def trained(monkeypatch):
    """Training and checks that take no time: clean files teach all, published ones half of it."""

    def fake(pairs, test, name, settings, seed, steps, defence, transformed):
        score = 1.0 if "clean" in str(pairs.pictures.path) else 0.65
        return iter([epoch(number, score if number else 0.3) for number in range(settings.epochs + 1)])

    def epoch(number, score):
        ways = ("image_retrieval", "text_retrieval")
        metrics = {f"{way}_recall@{k}": score for way in ways for k in (1, 5, 10)}
        ranks = {"median_rank": 9.0, "mean_percentile_rank": 0.6}
        metrics |= {f"{way}_{name}": value for way in ways for name, value in ranks.items()}
        return EpochResult(number, 2.5, metrics, 1.0)

    monkeypatch.setattr(trainings, "train", fake)
    monkeypatch.setattr(comparison, "cheap", lambda *_: CHECKED)


def test_the_command_trains_prints_and_writes(folders, trained, command, tmp_path):
    clean, published, test = folders
    out = tmp_path / "out"
    arguments = (clean, published, "--test", test, "--arm", f"again={published}", "-o", out, *FAST)
    ran = command("verify", *arguments)
    assert ran.code == 0 and ran.out.splitlines()[0].endswith(".")
    for row in (*MANDATORY, "again", "mix-50", "absent-50"):
        assert f"\n{row} " in ran.out
    assert "clean, tiny-resnet, seed 0, epoch 1/1: loss" in ran.err
    assert {path.name for path in out.iterdir()} >= {"report.html", "report.md", "results.json", "details.json"}
    details = json.loads((out / "details.json").read_text())
    assert details["settings"]["batch"] == 4 and len(details["arms"][3]["shards"]["00000.tar"]) == 64
    assert str(tmp_path) not in json.dumps(details)

    again = command("verify", *arguments, "--json")
    assert again.code == 0 and "loss" not in again.err and again.err.count("finished before") == 9
    shown = json.loads(again.out)
    assert {name: value for name, value in shown.items() if name != "seconds"} == {
        name: value for name, value in details.items() if name != "seconds"
    }


@pytest.mark.parametrize(("require", "code"), [("gain<=0.6", 0), ("gain<40%", 1)])
def test_a_requirement_decides_the_exit_code(folders, trained, command, require, code):
    ran = command("verify", *folders[:2], "--test", folders[2], *FAST, "--require", require)
    assert ran.code == code and "Weakest of" in ran.out


def test_without_a_verdict_a_requirement_is_not_met(folders, trained, command):
    (folders[2] / "00000.tar").unlink()  # twelve test pictures are too few to tell anything
    ran = command("verify", *folders[:2], "--test", folders[2], *FAST, "--require", "gain<=1")
    assert ran.code == 1 and ran.out.startswith("No verdict: ")


@pytest.mark.parametrize(("leaks", "code"), [((), 0), (("00000.tar: field url",), 1)])
def test_cheap_trains_nothing_and_fails_on_leaks(folders, command, monkeypatch, tmp_path, leaks, code):
    monkeypatch.setattr(comparison, "cheap", lambda *_: replace(CHECKED, leaks=leaks))
    ran = command("verify", *folders[:2], "--cheap", "-o", tmp_path / "out")
    assert ran.code == code and "no attacker was trained" in ran.out
    assert json.loads((tmp_path / "out" / "details.json").read_text())["runs"] == []


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("{clean}", "{clean}/nowhere"), "no such file"),
        (("{clean}", "{clean}", "--arm", "nameless"), "expected NAME=FILES"),
        (("{clean}", "{clean}", "--arm", "a=x", "--arm", "a=y"), "with a new name"),
        (("{clean}", "{clean}", "--attackers", "resnet-of-dreams"), "got 'resnet-of-dreams'"),
        (("{clean}", "{clean}", "--countermeasures", "bleach"), "got bleach"),
        (("{clean}", "{clean}", "--batch", "1"), "expected at least 2 pairs"),
        (("{clean}", "{clean}", "--mix", "0.5,half"), "expected numbers with commas"),
        (("{clean}", "{clean}", "--mix", "1.5"), "expected shares above 0 and up to 1"),
        (("{clean}", "{clean}", "--require", "gain<=low"), "as in gain<=0.2"),
        (("{clean}", "{clean}", "--cheap", "--require", "gain<=1"), "drop one of them"),
        (("{clean}", "{clean}", "--test", "{test}", *FAST, "--batch", "13"), "got 13; lower it"),
    ],
)
def test_bad_input_is_one_line_and_exit_2(folders, trained, command, arguments, message):
    ran = command("verify", *(text.format(clean=folders[0], test=folders[2]) for text in arguments))
    assert ran.code == 2 and not ran.out
    assert message in ran.err.splitlines()[-1] and "Traceback" not in ran.err


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
    return {name for name in found if name and name.startswith("protect.")}


def test_the_verifier_cannot_see_how_the_files_were_made():
    root = Path(protect.__file__).parent
    modules = [path.relative_to(root).with_suffix("") for path in (root / "verify").rglob("*.py")]
    todo = {".".join(("protect", *path.parts)).removesuffix(".__init__") for path in modules}
    assert {"protect.verify.comparison", "protect.verify.defences.staged", "protect.verify.report.page"} <= todo
    seen = set()
    while todo:
        module = todo.pop()
        seen.add(module)
        todo |= imports(module) - seen
    assert "protect.clip.models" in seen  # the walk goes beyond the folder
    makers = ("methods", "jobs", "publish.gate", "publish.upsample", "publish.photo_noise", "publish.photo_pixels")
    hidden = tuple(f"protect.{name}" for name in (*makers, "publish.masking", "data.window", "data.noise_store"))
    assert not [module for module in seen if module.startswith(hidden)]
