"""The comparison: every row, attacker and seed by one recipe; finished runs are kept for a restart."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from protect.settings.verify import VerifySettings
from protect.verify.attackers.train import attacker_size
from protect.verify.reading.pairs import JudgedPairs
from protect.verify.reading.test_set import Unseen
from protect.verify.runs.controls import Material
from protect.verify.runs.sources import read_material


@dataclass(frozen=True)
class _Data:
    """Everything read: by size, what rows are made from and what they are judged on; attackers by size."""

    files: dict[str, dict[str, str]]
    sizes: dict[str, int]
    materials: dict[int, Material]
    judged: dict[int, JudgedPairs]
    unseen: Unseen

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
        count = len(self.unseen.repeated)
        return (f"{count} test pictures that are, byte for byte, also among the clean ones",) if count else ()

    @classmethod
    def read(
        cls,
        sources: Mapping[str, str],
        files: dict[str, dict[str, str]],
        settings: VerifySettings,
        unseen: Unseen,
        folder: Path,
    ) -> "_Data":
        sizes = {name: attacker_size(name, settings) for name in settings.attackers}
        materials, judged = dict[int, Material](), dict[int, JudgedPairs]()
        for size in sorted(set(sizes.values())):
            judged[size] = unseen.read(size)
            materials[size] = read_material(sources, size, unseen, folder)
        return cls(files, sizes, materials, judged, unseen)

    def limited(self, pairs: int) -> "_Data":
        """With the first so many clean pairs (0: all) and what was published of them."""
        if not pairs or pairs >= len(self.first.clean):
            return self
        keys = set(self.first.clean.keys[:pairs])
        cut = {size: _cut(material, pairs, keys) for size, material in self.materials.items()}
        return replace(self, materials=cut)


def _cut(material: Material, pairs: int, keys: set[str]) -> Material:
    published = [i for i, key in enumerate(material.protected.keys) if key in keys]
    clean = material.clean.select(range(pairs))
    return replace(material, clean=clean, protected=material.protected.select(published))
