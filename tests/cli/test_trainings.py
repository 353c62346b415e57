"""Progress of trainings: plain lines in a pipe, live lines and a bar on a terminal."""

import io
import pickle

from rich.console import Console

from protect.cli import trainings
from protect.cli.trainings import TrainingProgress
from protect.verify.records import EpochResult, progress_line, total_line

METRICS = {f"{way}_recall@10": 0.5 for way in ("text_retrieval", "image_retrieval")}


def lines():
    yield "checks without training: 1.0 s"
    yield total_line("trainings to run: 2", 0, 2)
    for epoch in (0, 1, 2):
        yield progress_line("clean, tiny-vit, seed 0", EpochResult(epoch, 1.5, METRICS, 1.0), 2)
    yield total_line("1 of 2 trainings done, about 1 min left", 1, 2)


def test_elsewhere_than_on_a_terminal_every_event_is_a_line(capsys):
    with TrainingProgress() as progress:
        for line in lines():
            progress(line)
    assert capsys.readouterr().err.splitlines() == [*map(str, lines())]


def test_a_terminal_shows_a_live_line_and_a_bar_and_keeps_what_is_finished(monkeypatch):
    screen = io.StringIO()
    monkeypatch.setattr(trainings, "shows_bar", lambda quiet: True)
    monkeypatch.setattr(
        trainings, "Console", lambda stderr: Console(file=screen, force_terminal=True, width=160, color_system=None)
    )
    with TrainingProgress() as progress:
        for number, line in enumerate(lines()):
            progress(line)
            assert len(progress.running) == (number in (2, 3))
        assert progress.bars.tasks[0].completed == 1 and progress.bars.tasks[0].total == 2
    shown = screen.getvalue()
    assert "checks without training" in shown and "clean, tiny-vit, seed 0, epoch 2/2" in shown
    assert "1 of 2 trainings done" in shown


def test_lines_reach_other_processes_whole():
    sent = [pickle.loads(pickle.dumps(line)) for line in lines()]
    assert sent == list(lines()) and sent[3].share == 0.5 and sent[1].total == 2
