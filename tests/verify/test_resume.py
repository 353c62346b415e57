"""A comparison that is killed while it trains goes on from what was finished, and finds the same in the end."""

import io
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from protect.verify import comparison
from protect.verify.records import Cheap

CHECKED = "Cheap((), {}, 8.0, 30.0, 0.9, None, None, 0.5, {})"
ALONE = f"""
import sys
from protect.verify import comparison
from protect.verify.records import Cheap
comparison.cheap = lambda *_: {CHECKED}
from protect.cli import main
sys.argv[0] = "protect"
main()
"""
ROWS, FEW = 5, 2


@pytest.fixture
def arguments(make_shard, tmp_path):
    """What to verify, and how: five rows of twelve steps."""

    def shard(name, numbers, words, noise):
        samples = {}
        for number in numbers:
            random = np.random.default_rng(number)
            pixels = random.integers(0, 256, (4, 4, 3), np.uint8).repeat(8, 0).repeat(8, 1)
            pixels = (pixels + noise * random.choice([-1, 1], pixels.shape)).clip(0, 255).astype(np.uint8)
            file = io.BytesIO()
            Image.fromarray(pixels).save(file, "PNG")
            samples[f"{number:05}"] = {"png": file.getvalue(), "txt": f"{words}number {number} of these"}
        return str(make_shard(tmp_path / f"{name}.tar", samples))

    files = shard("clean", range(48), "", 0), shard("protected", range(48), "zebra ", 8)
    recipe = ("--attackers", "tiny-resnet", "--size", "32", "--epochs", "3", "--batch", "12", "--device", "cpu")
    plan = ("--countermeasures", "none", "--mix", "1", "--jobs", "1")
    return ("verify", *files, "--test", shard("test", range(48, 80), "", 0), *recipe, *plan)


def finished(out):
    """Runs on the disk by identity; a line that is being written does not count."""
    log = out / "runs.jsonl"
    whole = log.read_text().rpartition("\n")[0] if log.exists() else ""
    return {(run := json.loads(line))["id"]: run for line in whole.splitlines()}


def kill_after(few: int, arguments: tuple[str, ...], out: Path) -> None:
    """Starts the command by itself, and ends it without warning when it has finished so many trainings."""
    command = [sys.executable, "-c", ALONE, *arguments, "--out", str(out)]
    running = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        while running.poll() is None and len(finished(out)) < few:
            time.sleep(0.02)
    finally:
        os.kill(running.pid, signal.SIGKILL)
    assert running.wait() == -signal.SIGKILL


def without_seconds(runs):
    return {name: run | {"epochs": [epoch | {"seconds": 0} for epoch in run["epochs"]]} for name, run in runs.items()}


def test_a_killed_process_goes_on_and_finds_the_same(arguments, command, monkeypatch, tmp_path):
    monkeypatch.setattr(comparison, "cheap", lambda *_: eval(CHECKED, {"Cheap": Cheap}))
    out = tmp_path / "out"
    kill_after(FEW, arguments, out)
    before = finished(out)
    assert FEW <= len(before) < ROWS and not (out / "report.html").exists()
    ran = command(*arguments, "--out", out)
    assert ran.code == 0 and (out / "report.html").exists()
    assert ran.err.count("finished before") == len(before)
    after = finished(out)
    assert len(after) == ROWS and all(after[name] == run for name, run in before.items())

    assert command(*arguments, "--out", tmp_path / "whole").code == 0
    assert without_seconds(finished(tmp_path / "whole")) == without_seconds(after)
