"""The methods by name, with their traits: a new one costs one file and one line here; no torch until one is used."""

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from typing import Any

from protect.methods.instant_settings import ATTRIBUTE_WORDS, COUNTED, InstantSettings
from protect.methods.mem_settings import ErrorMinSettings, MemSettings
from protect.settings.recipe import NATURAL


@dataclass(frozen=True)
class NoSettings:
    """For a method that has no settings of its own."""


@dataclass(frozen=True)
class Method:
    """A way to protect pairs, and its traits: what others must know of it without asking its name.

    fit(window, recipe, device, report) learns on a window and returns a `Fitted`; where it needs a surrogate it also
    takes a `Checkpoint` or None, to resume from. protector(fitted, recipe, device)
    makes of it a stateless function of a `Batch` that returns a `Protection`. settings: the class of its own
    settings; where that has a method `check(trigger)`, it is called before a run.
    trigger_words: planted in a caption unless asked otherwise; None: it plants none. trigger_style: how they are
    written unless asked otherwise.
    needs_surrogate: it trains a model. most_pairs: pairs it looks at in a fit, at most (None: all of the window).
    any_size: its noise fits a picture of any size, so that a small one gets it at its own. whole_image: its noise
    follows the picture, so that it is made for all of it and not for a square in the middle.
    from_key(recipe, vocabulary): a `Fitted` made without any data, for methods that can.
    """

    fit: Callable[..., Any]
    protector: Callable[..., Any]
    settings: type = NoSettings
    trigger_words: int | None = 3
    trigger_style: str = "prefix"
    needs_surrogate: bool = False
    most_pairs: int | None = None
    any_size: bool = False
    whole_image: bool = False
    from_key: Callable[..., Any] | None = None


def _later(module: str, function: str) -> Callable[..., Any]:
    """A function of a method's file, imported when it is called: torch takes seconds to load."""

    def call(*arguments: Any) -> Any:
        return getattr(import_module(f"{__name__}.{module}"), function)(*arguments)

    return call


def _file(module: str) -> tuple[Callable[..., Any], Callable[..., Any]]:
    return _later(module, "fit"), _later(module, "protector")


METHODS: dict[str, Method] = {
    "instant": Method(
        *_file("instant"), settings=InstantSettings, trigger_words=ATTRIBUTE_WORDS, trigger_style=NATURAL,
        most_pairs=COUNTED, any_size=True, whole_image=True, from_key=_later("instant", "from_key"),
    ),
    "mem": Method(*_file("mem"), settings=MemSettings, needs_surrogate=True),
    "em": Method(*_file("em"), settings=ErrorMinSettings, needs_surrogate=True, trigger_words=None),
    "random": Method(*_file("random"), most_pairs=128),
}  # fmt: skip
REMOVED = {  # what to use instead of methods that earlier versions had
    "content": "instant (its new name)",
    "code": "instant (no model needed) or mem",
}


def method_of(name: str) -> Method:
    """The method of that name; ValueError names those that exist, or what an old one is called now."""
    if name in REMOVED:
        raise ValueError(f"method: {name} is no longer there; use {REMOVED[name]}")
    if name not in METHODS:
        raise ValueError(f"method: expected one of {', '.join(METHODS)}, got {name!r}")
    return METHODS[name]
