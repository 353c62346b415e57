"""What a knob is: a field with default, unit and help, from which its command-line option is made; no torch."""

from collections.abc import Sequence
from dataclasses import field, fields, replace
from typing import Any

PRECISIONS = ("auto", "fp32", "bf16")


def knob(default: Any, help: str, choices: Sequence[str] | None = None, unset: str = "") -> Any:
    """A documented field of a Settings class; the command-line option is made from it.

    A default of None means unset; `unset` says in the help what then holds.
    """
    return field(default=default, metadata={"help": help, "choices": choices, "unset": unset})


def positive(settings: Any, *names: str) -> None:
    """Raise ValueError unless each named field is above zero, or unset."""
    for name in names:
        value = getattr(settings, name)
        if value is not None and not value > 0:
            raise ValueError(f"{name}: expected a number above 0, got {value}")


def among_choices(settings: Any) -> None:
    """Raise ValueError unless each field with choices holds one of them, or its default."""
    for f in fields(settings):
        choices, value = f.metadata["choices"], getattr(settings, f.name)
        if choices and value not in (*choices, f.default):
            raise ValueError(f"{f.name}: expected one of {', '.join(choices)}, got {value!r}")


def from_dict(cls: type, values: dict[str, Any]) -> Any:
    """Settings of class `cls` from plain values; raises ValueError on a name it does not know."""
    known = {f.name for f in fields(cls)}
    unknown = sorted(set(values) - known)
    if unknown:
        raise ValueError(f"{cls.__name__}: expected {', '.join(sorted(known))}; got {', '.join(unknown)}")
    return replace(cls(), **{k: tuple(v) if isinstance(v, list) else v for k, v in values.items()})
