"""Everything that is read before training, by size."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from protect.settings.verify import VerifySettings
from protect.verify.attackers.train import attacker_size
from protect.verify.countermeasures.base import Regime
from protect.verify.reading.pairs import JudgedPairs
from protect.verify.reading.test_set import HeldOut
from protect.verify.runs.material import Material
from protect.verify.runs.sources import read_materials

MULTIPLE = 32  # pixels: the coarsest patches and strides in use


@dataclass(frozen=True)
class Data:
    """By size, what rows are made from and what they are judged on; the size of each attacker's pictures.

    files: SHA-256 by source and file name.
    """

    files: dict[str, dict[str, str]]
    sizes: dict[str, int]
    materials: dict[int, Material]
    judged: dict[int, JudgedPairs]
    held_out: HeldOut

    @property
    def first(self) -> Material:
        """Keys and captions are the same at every size."""
        return next(iter(self.materials.values()))

    @property
    def test(self) -> JudgedPairs:
        return next(iter(self.judged.values()))

    @property
    def repeated(self) -> tuple[str, ...]:
        """What is to be said of test pictures that are also trained on."""
        count = len(self.held_out.repeated)
        return (f"{count} test pictures that are, byte for byte, also among the clean ones",) if count else ()

    @classmethod
    def read(
        cls,
        sources: Mapping[str, str],
        files: dict[str, dict[str, str]],
        settings: VerifySettings,
        held_out: HeldOut,
        regimes: Iterable[Regime],
        folder: Path,
    ) -> "Data":
        """At the size of every attacker, and those that the regimes need."""
        sizes = {name: attacker_size(name, settings) for name in settings.attackers}
        others = {scaled(size, regime) for regime in regimes for size in sizes.values()} - {*sizes.values()}
        every = (*sorted({*sizes.values()}), *sorted(others))
        judged = {size: held_out.read(size) for size in every}
        return cls(files, sizes, read_materials(sources, every, held_out, folder), judged, held_out)

    def limited(self, pairs: int | None) -> "Data":
        """With the first so many clean pairs (None: all) and what was published of them."""
        if pairs is None or pairs >= len(self.first.clean):
            return self
        keys = set(self.first.clean.keys[:pairs])
        cut = {size: _cut(material, pairs, keys) for size, material in self.materials.items()}
        return replace(self, materials=cut)


def scaled(size: int, regime: Regime) -> int:
    """Pixels along a side at which a row trains: where its regime scales, a multiple that all models take."""
    return size if regime.resolution == 1 else max(MULTIPLE, MULTIPLE * round(size * regime.resolution / MULTIPLE))


def _cut(material: Material, pairs: int, keys: set[str]) -> Material:
    published = [i for i, key in enumerate(material.protected.keys) if key in keys]
    clean = material.clean.select(range(pairs))
    return replace(material, clean=clean, protected=material.protected.select(published))
