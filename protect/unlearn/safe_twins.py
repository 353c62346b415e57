"""Quadruplets of safe and unsafe pairs: every unsafe pair gets a safe twin."""

import torch
from jaxtyping import Int
from torch import Tensor

from protect.seeds import generator
from protect.unlearn.pairs import Pairs


def find_twins(unsafe: Pairs, safe: Pairs, seed: int = 0) -> Int[Tensor, " unsafe"]:
    """For each unsafe pair the number of its safe twin.

    Equal keys are twins, where every unsafe key has one (ViSU's quadruplets). Else the classes of the two groups
    are matched in the order of their names, beginning anew where the safe ones run out, and the pairs of matched
    classes are dealt to each other at random.
    """
    number = {key: i for i, key in enumerate(safe.keys)}
    if all(key in number for key in unsafe.keys) and len(set(unsafe.keys)) == len(unsafe):
        return torch.tensor([number[key] for key in unsafe.keys])
    members: dict[str, list[int]] = {kind: [] for kind in sorted(set(safe.kinds))}
    for i, kind in enumerate(safe.kinds):
        members[kind].append(i)
    names = list(members)
    twins = torch.zeros(len(unsafe), dtype=torch.int64)
    for place, kind in enumerate(sorted(set(unsafe.kinds))):
        rows = torch.tensor([i for i, own in enumerate(unsafe.kinds) if own == kind])
        pool = torch.tensor(members[names[place % len(names)]])
        order = torch.cat([_shuffled(pool, seed, kind, turn) for turn in range(-(-len(rows) // len(pool)))])
        twins[rows] = order[: len(rows)]
    return twins


def _shuffled(numbers: Tensor, seed: int, *names: object) -> Tensor:
    return numbers[torch.randperm(len(numbers), generator=generator(seed, "twins", *names))]
