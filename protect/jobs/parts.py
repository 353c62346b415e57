"""Parts of a run: which shards are whose, where several jobs share them without knowing of each other."""

import hashlib
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass

from protect.files import PlanError

PART = re.compile(r"(\d+)/(\d+)")
ALL = "0/1"  # all shards, whatever array this is a job of
COUNT = "JOB_COMPLETIONS"  # Kubernetes tells a pod its index, but not of how many


@dataclass(frozen=True)
class Part:
    """Part `index` of `count`, counted from 0; `said_by`: the variable that it was read from."""

    index: int
    count: int
    said_by: str = ""

    def __str__(self) -> str:
        return f"{self.index}/{self.count}"

    def holds(self, name: str) -> bool:
        """Whether a shard is in this part: by its name alone, so that all jobs agree, whatever else they see."""
        return int.from_bytes(hashlib.sha256(name.encode()).digest()) % self.count == self.index


def part_of(text: str | None, environment: Mapping[str, str] = os.environ) -> Part | None:
    """The part that was asked for, or the one of a SLURM array or an indexed Kubernetes job; None for all shards.

    Raises PlanError for a part that cannot be.
    """
    if text is not None:
        return _checked(text, "--part", "")
    if "SLURM_ARRAY_TASK_ID" in environment and "SLURM_ARRAY_TASK_COUNT" in environment:
        first, step = (_number(environment, f"SLURM_ARRAY_TASK_{name}") for name in ("MIN", "STEP"))
        index = (_number(environment, "SLURM_ARRAY_TASK_ID") - first) / (step or 1)
        shown = f"{index:g}/{environment['SLURM_ARRAY_TASK_COUNT']}"
        return _checked(shown, "SLURM_ARRAY_TASK_ID", "SLURM_ARRAY_TASK_ID")
    if "JOB_COMPLETION_INDEX" in environment:
        if COUNT not in environment:
            raise PlanError(
                f"JOB_COMPLETION_INDEX: expected {COUNT} beside it, the number of all parts, found none; set it in "
                "the job, or say --part I/N"
            )
        shown = f"{environment['JOB_COMPLETION_INDEX']}/{environment[COUNT]}"
        return _checked(shown, "JOB_COMPLETION_INDEX", "JOB_COMPLETION_INDEX")
    return None


def _number(environment: Mapping[str, str], name: str) -> int:
    text = environment.get(name, "0")
    if not text.isdigit():
        raise PlanError(f"{name}: expected a whole number, found {text!r}; say --part I/N")
    return int(text)


def _checked(text: str, name: str, said_by: str) -> Part | None:
    match = PART.fullmatch(text.strip())
    if match is None or not int(match[1]) < int(match[2]):
        raise PlanError(
            f"{name}: expected I/N with I from 0 to N-1, such as 0/8 to 7/8, found {text}; say --part I/N"
        )
    part = Part(int(match[1]), int(match[2]), said_by)
    return part if part.count > 1 else None
