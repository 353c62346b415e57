"""Settings: documented, bounded, and the same after JSON."""

import json
import subprocess
import sys
from collections import Counter
from dataclasses import FrozenInstanceError, fields, replace

import pytest

from protect.settings.base import from_dict
from protect.settings.publish import PublishSettings
from protect.settings.recipe import (
    LOOK_WORDS,
    PRESETS,
    SCHEDULES,
    STEPS,
    STYLES,
    TRIGGER_WORDS,
    FitSettings,
    MemSettings,
    NoiseSettings,
    Recipe,
    TriggerSettings,
)
from protect.settings.verify import VerifySettings

PARTS = {f.name: type(f.default) for f in fields(Recipe)}
CLASSES = (*PARTS.values(), PublishSettings, VerifySettings)
NAN = float("nan")


def recipe_of(values):
    """A recipe from option values, as the command line makes it."""
    return Recipe(
        **{
            name: from_dict(part, {f.name: values[f.name] for f in fields(part) if f.name in values})
            for name, part in PARTS.items()
        }
    )


@pytest.mark.parametrize("cls", CLASSES)
def test_every_knob_has_help_and_a_default_that_is_allowed(cls):
    cls()
    for field in fields(cls):
        assert len(field.metadata["help"]) > 10, field.name
        choices = field.metadata["choices"]
        assert not choices or field.default in (*choices, ""), field.name


def test_no_knob_of_a_recipe_has_a_namesake():
    names = Counter(f.name for part in PARTS.values() for f in fields(part))
    assert names.most_common(1)[0][1] == 1


@pytest.mark.parametrize(
    ("cls", "values"),
    [
        (FitSettings, {"batch": 1}),
        (FitSettings, {"window": 0}),
        (FitSettings, {"size": -1}),
        (FitSettings, {"method": "magic"}),
        (TriggerSettings, {"trigger_words": -2}),
        (TriggerSettings, {"alphabet": -1}),
        (TriggerSettings, {"trigger_style": "infix"}),
        (NoiseSettings, {"epsilon": -0.1}),
        (NoiseSettings, {"epsilon": 127.5}),
        (NoiseSettings, {"epsilon": NAN}),
        (NoiseSettings, {"step_size": -0.5}),
        (NoiseSettings, {"step_size": NAN}),
        (NoiseSettings, {"steps": -1}),
        (MemSettings, {"rounds": -2}),
        (MemSettings, {"surrogate_steps": -2}),
        (MemSettings, {"noise_batches": -2}),
        (MemSettings, {"candidates": 0}),
        (MemSettings, {"learning_rate": 0.0}),
        (MemSettings, {"text_rounds": -2}),
        (MemSettings, {"fresh_every": -2}),
        (MemSettings, {"share": "caption"}),
        (MemSettings, {"start": "noise"}),
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
    assert FitSettings(batch=2, size=0).batch == 2
    assert TriggerSettings(trigger_words=0, alphabet=0).trigger_words == 0
    assert MemSettings(text_rounds=0, fresh_every=0).fresh_every == 0
    assert all(TriggerSettings(trigger_style=style).trigger_style == style for style in STYLES)


@pytest.mark.parametrize("trigger", [TriggerSettings(trigger_words=0), TriggerSettings(alphabet=0)])
def test_a_pattern_for_each_word_needs_words(trigger):
    for method in ("code", "mem"):
        with pytest.raises(ValueError, match="use method mem with share=image, or em"):
            Recipe(fit=FitSettings(method=method), trigger=trigger)
    assert Recipe(fit=FitSettings(method="mem"), trigger=trigger, mem=MemSettings(share="image"))
    assert Recipe(trigger=trigger, fit=FitSettings(method="em"))


@pytest.mark.parametrize("name", ["rounds", "surrogate_steps"])
def test_a_recipe_needs_rounds_and_steps(name):
    with pytest.raises(ValueError, match=f"{name}: expected a number above 0, got 0"):
        Recipe(mem=MemSettings(**{name: 0}))


@pytest.mark.parametrize(
    ("method", "asked", "share"), [("mem", "word", "word"), ("mem", "image", "image"), ("em", "word", "image")]
)
def test_knobs_left_open_get_the_numbers_of_the_share(method, asked, share):
    recipe = Recipe(FitSettings(method=method), noise=NoiseSettings(steps=3), mem=MemSettings(share=asked, rounds=7))
    expected = {**SCHEDULES[share], **STEPS[share], "rounds": 7, "steps": 3, "share": share}
    found = vars(recipe.mem) | vars(recipe.noise)
    assert {name: found[name] for name in expected} == expected


def test_settings_cannot_be_changed():
    with pytest.raises(FrozenInstanceError):
        Recipe().noise.epsilon = 99


def test_from_dict_takes_lists_and_keeps_defaults():
    assert from_dict(FitSettings, {"surrogate": ["a", "b"]}) == FitSettings(surrogate=("a", "b"))
    assert from_dict(NoiseSettings, {}) == NoiseSettings()


@pytest.mark.parametrize(
    ("make", "values", "unknown"),
    [
        (lambda values: from_dict(NoiseSettings, values), {"epsilon": 4, "step": 1, "alpha": 2}, "alpha, step"),
        (Recipe.from_dict, {"noise": {"eps": 4}}, "eps"),
        (Recipe.from_dict, {"noises": {"epsilon": 4}}, "noises"),
    ],
)
def test_unknown_names_are_refused(make, values, unknown):
    with pytest.raises(ValueError, match=rf"expected .*; got {unknown}$"):
        make(values)


@pytest.mark.parametrize(
    "recipe",
    [
        *map(recipe_of, PRESETS.values()),
        replace(Recipe(), fit=FitSettings(surrogate=("RN50", "ViT-B-32")), noise=NoiseSettings(epsilon=2.5)),
        replace(Recipe(), trigger=TriggerSettings(5, "hashtags", 8), mem=MemSettings(start="zero", weight_decay=0.0)),
    ],
)
def test_a_recipe_survives_json(recipe):
    again = Recipe.from_dict(json.loads(json.dumps(recipe.to_dict())))
    assert again == recipe
    assert json.dumps(again.to_dict()) == json.dumps(recipe.to_dict())


@pytest.mark.parametrize("name", PRESETS)
def test_presets_are_recipes_and_name_knobs_that_exist(name):
    values = PRESETS[name]
    assert set(values) <= {f.name for part in PARTS.values() for f in fields(part)}
    recipe = recipe_of(values)
    defaults = {f.name: f.default for part in PARTS.values() for f in fields(part)}
    found = {k: v for part in recipe.to_dict().values() for k, v in part.items()}
    share = recipe.mem.share
    derived = {"share": share, "window": recipe.fit.window, **SCHEDULES[share], **STEPS[share]}
    derived["trigger_words"] = LOOK_WORDS if recipe.fit.method == "content" else TRIGGER_WORDS
    assert found == {**defaults, **derived, **values}


def test_methods_that_learn_nothing_read_no_more_than_a_batch():
    windows = {
        method: Recipe(fit=FitSettings(method=method, batch=16)).fit.window for method in ("code", "random", "mem")
    }
    assert windows == {"code": 16, "random": 16, "mem": FitSettings().window}


def test_settings_and_command_line_leave_torch_alone():
    code = "import sys, protect.settings, protect.cli; print(sorted({'torch', 'numpy', 'PIL'} & set(sys.modules)))"
    run = subprocess.run([sys.executable, "-P", "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[]"
