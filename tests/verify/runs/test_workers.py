"""Processes: the same results for any number of them, what they say, and how they end."""

import importlib
import os
import sys
import time

import pytest
import torch

from protect.clip.device import autocast_type
from protect.verify.runs.workers import Workers

CPU = torch.device("cpu")


CALLS = """
import os, signal, time, torch
from protect.clip.device import autocast_type

def doubled(say, number):
    say(f"double {number}")
    return 2 * number, torch.get_num_threads(), str(autocast_type(torch.device("cpu"))), os.getpid()

def refused(say, text):
    raise ValueError(text)

def killed(say):
    os.kill(os.getpid(), signal.SIGKILL)

def slow(say):
    time.sleep(600)
"""


@pytest.fixture
def calls(tmp_path, monkeypatch):
    """What workers are asked to do, in a module that they can import too."""
    (tmp_path / "calls_of_a_test.py").write_text(CALLS)
    monkeypatch.syspath_prepend(str(tmp_path))
    yield importlib.import_module("calls_of_a_test")
    del sys.modules["calls_of_a_test"]


def gathered(workers, doubled, count):
    flying = {workers.submit(doubled, number) for number in range(count)}
    done = []
    while flying:
        found = workers.wait(flying)
        flying -= found
        done += [future.result() for future in found]
    return sorted(done)


def test_one_job_runs_here_on_one_thread(calls):
    before, said = torch.get_num_threads(), []
    with Workers(1, CPU, said.append) as workers:
        done = gathered(workers, calls.doubled, 3)
    assert [result[:2] for result in done] == [(0, 1), (2, 1), (4, 1)] and {d[3] for d in done} == {os.getpid()}
    assert said == ["double 0", "double 1", "double 2"] and torch.get_num_threads() == before


def test_a_refusal_comes_with_the_result(calls):
    with Workers(1, CPU, print) as workers:
        future = workers.submit(calls.refused, "expected more, got less")
        assert str(future.exception()) == "expected more, got less" and workers.wait([future]) == {future}


@pytest.mark.slow
def test_two_jobs_find_the_same_and_end_when_stopped(calls):
    said = []
    with Workers(2, CPU, said.append) as workers:
        done = gathered(workers, calls.doubled, 4)
        error = workers.submit(calls.refused, "expected more, got less").exception()
    assert [result[:3] for result in done] == [(2 * i, 1, str(autocast_type(CPU))) for i in range(4)]
    assert sorted(said) == [f"double {i}" for i in range(4)] and os.getpid() not in {d[3] for d in done}
    assert isinstance(error, ValueError) and str(error) == "expected more, got less"

    begin = time.monotonic()
    with pytest.raises(KeyboardInterrupt), Workers(2, CPU, said.append) as workers:
        workers.submit(calls.slow)
        gathered(workers, calls.doubled, 1)
        raise KeyboardInterrupt
    assert time.monotonic() - begin < 300  # it did not wait for the sleeper

    with pytest.raises(MemoryError, match="lower jobs"), Workers(2, CPU, said.append) as workers:
        workers.wait([workers.submit(calls.killed)])
