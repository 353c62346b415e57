"""What the rounds share: texts of several steps at once, and a surrogate that is packed while it is frozen."""

import numpy as np
import pytest
import torch

from protect.data.window import Window
from protect.methods.mem_settings import MemSettings
from protect.methods.parts import error_min as minimise
from protect.methods.parts.error_min import surrogate_of, texts_of
from protect.methods.parts.trigger import Lexicon
from protect.methods.parts.wordlist import draw_alphabet
from protect.methods.protector import fit
from protect.methods.recipe import Recipe
from protect.settings.recipe import FitSettings, TriggerSettings

RECIPE = Recipe(
    FitSettings(method="mem", surrogate=("tiny-vit",), size=32, window=4, batch=4),
    TriggerSettings(trigger_words=2, alphabet=4),
    own=MemSettings(rounds=2, surrogate_steps=1, steps=2, text_rounds=1, candidates=2),
)


@pytest.mark.parametrize("style", ["prefix", "suffix", "hashtags"])
def test_texts_of_several_steps_are_those_of_each(style):
    surrogate = surrogate_of(RECIPE, 0, torch.device("cpu"))
    surrogate.autocast_type = None
    lexicon = Lexicon(surrogate, draw_alphabet(2, 4, 0), style)
    choice = torch.tensor([[0, 1], [2, 3]])
    steps = [["a dog", "two cats here"], ["two cats here", "a dog"], ["", "rain"]]
    found = texts_of(lexicon, steps, choice)
    for texts, captions in zip(found, steps, strict=True):
        rows = lexicon.rows([surrogate.encode(caption) for caption in captions], choice)[0]
        assert torch.allclose(texts, surrogate.text(rows), atol=1e-5)
    assert len(found) == 3


def test_a_surrogate_is_packed_while_it_is_frozen_alone(monkeypatch):
    said = []
    monkeypatch.setattr(minimise, "pack", lambda surrogate: said.append(not surrogate.logit_scale.requires_grad))
    monkeypatch.setattr(minimise, "unpack", lambda surrogate: said.append("unpacked"))
    window = Window(32, 4)
    for number in range(4):
        window.add(str(number), np.full((3, 32, 32), 40 * number, np.uint8), [f"number {number}"])
    fit(window, RECIPE)
    assert said == ["unpacked", True] * 2 + ["unpacked"]
