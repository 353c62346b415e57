"""The methods by name: a new one costs one file and one line here."""

from collections.abc import Callable
from typing import Protocol

from protect.data.window import Window
from protect.methods import code, em, mem, random
from protect.methods import instant as content
from protect.methods.fitted import Fitted
from protect.settings.recipe import Recipe
from protect.types import Batch, Protection

Protect = Callable[[Batch], Protection]


class Method(Protocol):
    """`fit` learns on a window; `protector` turns what was learned into a stateless function of a batch."""

    def fit(self, window: Window, recipe: Recipe, report: Callable[[str], None]) -> Fitted: ...

    def protector(self, fitted: Fitted, recipe: Recipe) -> Protect: ...


METHODS: dict[str, Method] = {"content": content, "code": code, "mem": mem, "em": em, "random": random}
