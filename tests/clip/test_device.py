"""The device and number format of models: the caller's, this process's GPU, what the processor is fast in."""

import pytest
import torch

from protect.clip import device
from protect.clip.device import autocast_type, choose_device, use_precision

CPU = torch.device("cpu")


@pytest.fixture(autouse=True)
def undecided(monkeypatch):
    monkeypatch.setattr(device, "_settled", {})


def test_a_process_of_torchrun_takes_the_gpu_of_its_rank(monkeypatch):
    asked = []
    monkeypatch.setattr(torch, "zeros", lambda size, device: asked.append(device))
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setenv("LOCAL_RANK", "3")
    assert choose_device("auto") == choose_device("cuda") == torch.device("cuda:3")
    assert choose_device("cuda:1") == torch.device("cuda:1") and choose_device("cpu") == CPU
    monkeypatch.delenv("LOCAL_RANK")
    assert choose_device("auto") == torch.device("cuda") and len(asked) == 5


@pytest.mark.parametrize(("precision", "kind"), [("fp32", None), ("bf16", torch.bfloat16)])
def test_a_precision_that_was_asked_for_is_used(monkeypatch, precision, kind):
    monkeypatch.setattr(device, "_fast_type", lambda asked: pytest.fail("nothing is measured"))
    use_precision(CPU, precision)
    assert autocast_type(CPU) == kind


def test_auto_leaves_it_to_the_machine(monkeypatch):
    monkeypatch.setattr(device, "_fast_type", lambda asked: torch.bfloat16)
    use_precision(CPU, "auto")
    assert autocast_type(CPU) == torch.bfloat16


@pytest.mark.parametrize("capable", [True, False])
def test_a_gpu_is_asked_and_not_timed(monkeypatch, capable):
    monkeypatch.setattr(device, "_product_seconds", lambda *rest: pytest.fail("nothing is measured"))
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda **options: capable)
    assert autocast_type(torch.device("cuda")) == (torch.bfloat16 if capable else None)
