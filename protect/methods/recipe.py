"""All that phase 1 depends on, saved with the protector so that it can be made again; no torch."""

from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any

from protect.methods import Method, method_of
from protect.settings.base import from_dict
from protect.settings.recipe import NATURAL, FitSettings, NoiseSettings, TriggerSettings

SHARED = {"fit": FitSettings, "trigger": TriggerSettings, "noise": NoiseSettings}


@dataclass(frozen=True)
class Recipe:
    """What every method is told, and the method's own settings (`own`; None takes their defaults).

    Numbers that were left to the method are filled in here. Raises ValueError for a method that does not exist,
    for words it cannot plant, and for settings of another method.
    """

    fit: FitSettings = field(default_factory=FitSettings)
    trigger: TriggerSettings = field(default_factory=TriggerSettings)
    noise: NoiseSettings = field(default_factory=NoiseSettings)
    own: Any = None

    def __post_init__(self) -> None:
        method = self.method
        own = method.settings() if self.own is None else self.own
        if type(own) is not method.settings:
            raise ValueError(f"{self.fit.method}: expected {method.settings.__name__}, got {type(own).__name__}")
        words, usual = self.trigger.trigger_words, method.trigger_words
        style = self.trigger.trigger_style or method.trigger_style
        if usual is None and words:
            raise ValueError(
                f"trigger_words: expected none, {self.fit.method} leaves captions as they are; got {words}"
            )
        if method.needs_surrogate and style == NATURAL:
            raise ValueError(
                f"trigger_style: expected prefix, suffix, hashtags or both with {self.fit.method}, got natural; "
                "it chooses words by how a model reads them in place"
            )
        words = (usual or 0) if words is None else words
        windows = [pairs for pairs in (self.fit.window, method.most_pairs) if pairs is not None]
        object.__setattr__(self, "own", own)
        object.__setattr__(self, "trigger", replace(self.trigger, trigger_words=words, trigger_style=style))
        object.__setattr__(self, "fit", replace(self.fit, window=min(windows, default=None)))
        if hasattr(own, "check"):
            own.check(self.trigger)

    @property
    def method(self) -> Method:
        return method_of(self.fit.method)

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> "Recipe":
        """The recipe of `to_dict`; ValueError names what an older or newer version wrote."""
        names = [f.name for f in fields(cls)]
        method = method_of(values.get("fit", {}).get("method", FitSettings().method))
        if unknown := sorted(set(values) - set(names)):
            raise ValueError(f"{cls.__name__}: expected {', '.join(names)}; got {', '.join(unknown)}")
        parts = SHARED | {"own": method.settings}
        return cls(**{name: from_dict(part, values.get(name, {})) for name, part in parts.items()})


PRESETS: dict[str, dict[str, Any]] = {
    "default": {},
    "paper": {
        "method": "mem",
        "surrogate": ("RN50",),
        "size": 224,
        "window": "none",
        "alphabet": "none",
        "rounds": 20,
        "surrogate_steps": 200,
        "start": "drawn",
        "text_rounds": 5,
        "steps": 8,
        "step_size": 1.0,
        "learning_rate": 1e-4,
    },
}
