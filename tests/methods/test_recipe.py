"""The recipe: a method's own settings beside the shared ones, numbers left to the method, the same after JSON."""

import json
from dataclasses import FrozenInstanceError, fields, replace

import pytest

from protect.methods import METHODS, REMOVED, method_of
from protect.methods.instant_settings import ATTRIBUTE_WORDS, InstantSettings
from protect.methods.mem_settings import ErrorMinSettings, MemSettings
from protect.methods.recipe import PRESETS, SHARED, Recipe
from protect.settings.base import from_dict
from protect.settings.recipe import FitSettings, NoiseSettings, TriggerSettings


def recipe_of(values):
    """A recipe from option values, as the command line makes it."""
    values = {name: None if value == "none" else value for name, value in values.items()}
    own = METHODS[values.get("method", FitSettings().method)].settings

    def part(cls):
        return from_dict(cls, {f.name: values[f.name] for f in fields(cls) if f.name in values})

    return Recipe(**{name: part(cls) for name, cls in SHARED.items()}, own=part(own))


@pytest.mark.parametrize(("method", "words"), [("instant", ATTRIBUTE_WORDS), ("mem", 3), ("em", 0), ("random", 3)])
def test_the_number_of_words_is_the_methods_own_unless_asked_for(method, words):
    assert Recipe(FitSettings(method=method)).trigger.trigger_words == words
    if words:
        assert Recipe(FitSettings(method=method), TriggerSettings(trigger_words=2)).trigger.trigger_words == 2
        assert Recipe(FitSettings(method=method), TriggerSettings(trigger_words=0)).trigger.trigger_words == 0


def test_a_method_without_words_refuses_them():
    with pytest.raises(ValueError, match="trigger_words: expected none, em leaves captions as they are; got 3"):
        Recipe(FitSettings(method="em"), TriggerSettings(trigger_words=3))


def test_settings_of_another_method_are_refused():
    with pytest.raises(ValueError, match="em: expected ErrorMinSettings, got MemSettings"):
        Recipe(FitSettings(method="em"), own=MemSettings())


@pytest.mark.parametrize("name", ["content", "code"])
def test_an_old_method_says_what_to_use(name):
    with pytest.raises(ValueError, match=f"method: {name} is no longer there; use {REMOVED[name].split()[0]}"):
        method_of(name)


def test_an_unknown_method_names_those_that_exist():
    with pytest.raises(ValueError, match=f"method: expected one of {', '.join(METHODS)}, got 'magic'"):
        Recipe(FitSettings(method="magic"))


def test_a_recipe_cannot_be_changed():
    with pytest.raises(FrozenInstanceError):
        Recipe().noise.epsilon = 99


@pytest.mark.parametrize(
    ("values", "unknown"),
    [({"noise": {"eps": 4}}, "eps"), ({"noises": {"epsilon": 4}}, "noises"), ({"own": {"share": "word"}}, "share")],
)
def test_unknown_names_are_refused(values, unknown):
    with pytest.raises(ValueError, match=rf"expected .*; got {unknown}$"):
        Recipe.from_dict(values)


@pytest.mark.parametrize(
    "recipe",
    [
        *map(recipe_of, PRESETS.values()),
        Recipe(FitSettings("em", surrogate=("RN50", "ViT-B-32")), own=ErrorMinSettings(eot=("crop", "jpeg"))),
        Recipe(
            FitSettings("mem"),
            TriggerSettings(5, "hashtags", None),
            NoiseSettings(2.5),
            MemSettings(start="drawn", text_rounds=0),
        ),
        Recipe(FitSettings("instant"), own=InstantSettings(wording="drawn", attenuate=0.0)),
    ],
)
def test_a_recipe_survives_json(recipe):
    again = Recipe.from_dict(json.loads(json.dumps(recipe.to_dict())))
    assert again == recipe
    assert json.dumps(again.to_dict()) == json.dumps(recipe.to_dict())


def test_the_paper_preset_is_mem_as_published():
    recipe = recipe_of(PRESETS["paper"])
    own, fit = recipe.own, recipe.fit
    assert (fit.method, fit.surrogate, fit.size, fit.batch) == ("mem", ("RN50",), 224, 128)
    assert (fit.window, own.start) == (None, "drawn")
    assert (own.rounds, own.surrogate_steps, own.text_rounds, own.candidates) == (20, 200, 5, 16)
    assert (own.steps, own.step_size, recipe.noise.epsilon, own.learning_rate) == (8, 1.0, 8.0, 1e-4)
    assert (recipe.trigger.trigger_words, recipe.trigger.alphabet, own.eot) == (3, None, ())


def test_methods_that_learn_nothing_read_few_pairs():
    windows = {name: Recipe(FitSettings(method=name, window=10_000)).fit.window for name in METHODS}
    assert windows == {"instant": 8192, "mem": 10_000, "em": 10_000, "random": 128}
    assert replace(Recipe(FitSettings(method="random")), fit=FitSettings("random", window=16)).fit.window == 16
