"""The methods by name: a new one costs one file and one line here."""

from collections.abc import Callable
from typing import Protocol

from protect.batches import Window
from protect.methods import code, content, em, mem, random
from protect.settings import Recipe
from protect.types import Batch, Fitted, Protection

Protect = Callable[[Batch], Protection]


class Method(Protocol):
    """`fit` learns on a window; `protector` turns what was learned into a stateless function of a batch."""

    def fit(self, window: Window, recipe: Recipe, report: Callable[[str], None]) -> Fitted: ...

    def protector(self, fitted: Fitted, recipe: Recipe) -> Protect: ...


METHODS: dict[str, Method] = {"content": content, "code": code, "mem": mem, "em": em, "random": random}
