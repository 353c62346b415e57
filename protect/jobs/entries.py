"""The same shards protected by several methods, to be compared."""

from pathlib import Path

from protect.jobs.plan import make_plan
from protect.jobs.progress import Report
from protect.jobs.shards import protect_shards
from protect.methods import METHODS
from protect.methods.recipe import Recipe
from protect.settings.publish import PublishSettings
from protect.settings.recipe import FitSettings

UNPROTECTED = "clean"  # as a method: the clean files themselves, which must be found to protect nothing


def known_methods(names: list[str]) -> list[str]:
    """The names, each once; ValueError for what is no method."""
    if unknown := [name for name in names if name not in (UNPROTECTED, *METHODS)]:
        raise ValueError(f"methods: expected some of {', '.join((UNPROTECTED, *METHODS))}; got {', '.join(unknown)}")
    return list(dict.fromkeys(names))


def protected_by(
    method: str, source: str, out: Path, size: int | None, seed: int, report: Report, device: str
) -> str:
    """Where a method's protected copy of the shards is, made by its defaults; what was done before is kept."""
    if method == UNPROTECTED:
        return source
    recipe = Recipe(FitSettings(method=method, size=size, seed=seed))
    protect_shards(make_plan([source], out, PublishSettings(urls="strip")), recipe, None, report, device)
    return str(out)
