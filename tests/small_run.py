"""A quick run on shards: the settings that tests of whole runs share."""

from protect.methods.recipe import Recipe
from protect.settings.publish import PublishSettings
from protect.settings.recipe import FitSettings

PUBLISH = PublishSettings(urls="keep")
RECIPE = Recipe(fit=FitSettings(method="random", size=32))
