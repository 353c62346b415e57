"""Settings: documented, bounded, and the same after JSON."""

import subprocess
import sys
from collections import Counter
from dataclasses import fields

import pytest

from protect.methods import METHODS
from protect.methods.instant_settings import InstantSettings
from protect.methods.mem_settings import ErrorMinSettings, MemSettings
from protect.methods.recipe import SHARED
from protect.settings.base import from_dict
from protect.settings.publish import PhotoSettings, PublishSettings
from protect.settings.recipe import STYLES, FitSettings, NoiseSettings, TriggerSettings
from protect.settings.unlearn import ForgetSettings, UnlearnSettings
from protect.settings.verify import VerifySettings

OWN = tuple(dict.fromkeys(method.settings for method in METHODS.values()))  # in a fixed order
CLASSES = (*SHARED.values(), *OWN, PublishSettings, PhotoSettings, VerifySettings, UnlearnSettings, ForgetSettings)
NAN = float("nan")


@pytest.mark.parametrize("cls", CLASSES)
def test_every_knob_has_help_and_a_default_that_is_allowed(cls):
    cls()
    for field in fields(cls):
        assert len(field.metadata["help"]) > 10, field.name
        choices = field.metadata["choices"]
        assert not choices or field.default in (*choices, None), field.name
        assert field.default is not None or field.metadata["unset"], field.name


def test_no_knob_of_a_recipe_has_a_namesake():
    for own in OWN:
        names = Counter(f.name for part in (*SHARED.values(), own) for f in fields(part))
        assert names.most_common(1)[0][1] == 1


@pytest.mark.parametrize(
    ("cls", "values"),
    [
        (FitSettings, {"batch": 1}),
        (FitSettings, {"window": 0}),
        (FitSettings, {"size": -1}),
        (FitSettings, {"size": 0}),
        (TriggerSettings, {"trigger_words": -2}),
        (TriggerSettings, {"alphabet": 0}),
        (TriggerSettings, {"trigger_style": "infix"}),
        (NoiseSettings, {"epsilon": -0.1}),
        (NoiseSettings, {"epsilon": 127.5}),
        (NoiseSettings, {"epsilon": NAN}),
        (ErrorMinSettings, {"step_size": -0.5}),
        (ErrorMinSettings, {"step_size": NAN}),
        (ErrorMinSettings, {"steps": 0}),
        (ErrorMinSettings, {"rounds": 0}),
        (ErrorMinSettings, {"surrogate_steps": 0}),
        (ErrorMinSettings, {"reinit_every": 0}),
        (ErrorMinSettings, {"phase2_steps": 0}),
        (ErrorMinSettings, {"learning_rate": 0.0}),
        (ErrorMinSettings, {"weight_decay": -0.1}),
        (MemSettings, {"rounds": -2}),
        (MemSettings, {"candidates": 0}),
        (MemSettings, {"text_rounds": -1}),
        (InstantSettings, {"keywords": 0}),
        (InstantSettings, {"attenuate": 1.5}),
        (InstantSettings, {"wording": "latin"}),
        (PhotoSettings, {"quality": 0}),
        (PhotoSettings, {"quality": 101}),
        (PhotoSettings, {"seed": -1}),
        (PhotoSettings, {"trigger_words": -1}),
        (PublishSettings, {"jpeg_quality": 0}),
        (PublishSettings, {"jpeg_quality": 101}),
        (PublishSettings, {"jpeg_sampling": "420"}),
        (PublishSettings, {"urls": "maybe"}),
        (PublishSettings, {"on_error": "ignore"}),
        (VerifySettings, {"attackers": ()}),
        (VerifySettings, {"batch": 1}),
        (VerifySettings, {"epochs": 0}),
        (VerifySettings, {"learning_rate": NAN}),
    ],
    ids=str,
)
def test_values_out_of_bounds_are_refused_by_name(cls, values):
    ((name, value),) = values.items()
    with pytest.raises(ValueError, match=rf"{name}.*: expected .* (got|or) ") as error:
        cls(**values)
    assert "\n" not in str(error.value)
    assert value == () or str(value) in str(error.value)


def test_bounds_themselves_are_allowed():
    assert NoiseSettings(epsilon=0.0).epsilon == 0
    assert NoiseSettings(epsilon=127.0).epsilon == 127
    assert FitSettings(batch=2, size=1).batch == 2
    assert TriggerSettings(trigger_words=0, alphabet=1).trigger_words == 0
    assert MemSettings(text_rounds=0, reinit_every=1).text_rounds == 0
    assert all(TriggerSettings(trigger_style=style).trigger_style == style for style in STYLES)


def test_from_dict_takes_lists_and_keeps_defaults():
    assert from_dict(FitSettings, {"surrogate": ["a", "b"]}) == FitSettings(surrogate=("a", "b"))
    assert from_dict(NoiseSettings, {}) == NoiseSettings()


def test_unknown_names_are_refused():
    with pytest.raises(ValueError, match=r"expected .*; got alpha, step$"):
        from_dict(NoiseSettings, {"epsilon": 4, "step": 1, "alpha": 2})


def test_settings_and_command_line_leave_torch_alone():
    modules = "protect.cli.shards, protect.cli.photos, protect.cli.verify, protect.methods.recipe"
    code = f"import sys, {modules}; print(sorted({{'torch', 'numpy', 'PIL'}} & set(sys.modules)))"
    run = subprocess.run([sys.executable, "-P", "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[]"
