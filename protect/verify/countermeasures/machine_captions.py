"""Captions written anew by a captioning model of transformers, from the published pictures themselves."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

from protect.clip.open_clip_import import open_clip
from protect.verify.countermeasures.base import Captions, Countermeasure, Kind
from protect.verify.reading.pairs import Pairs

BATCH = 32
LONGEST = 24  # tokens of a caption


def write_captions(folder: str) -> Countermeasure:
    """The row for a captioner in a Hugging Face folder. Raises ValueError when there is none."""
    if not Path(folder).is_dir():
        raise ValueError(f"captioner: expected a Hugging Face folder with a captioning model, got {folder!r}")
    return replace(MACHINE_CAPTIONS, setting=None, pairs=partial(recaptioned, folder=folder))


def recaptioned(pairs: Pairs, folder: str) -> Pairs:
    """The pairs, each with one caption by the model (greedy); pairs that it writes nothing for are dropped."""
    return pairs.recaptioned([*_written(pairs.pictures, *captioner(folder))])


def captioner(folder: str) -> tuple[Any, Any, Any]:
    """The model, what prepares its pictures, and its tokenizer; ValueError for a folder without all three."""
    open_clip()  # transformers imports torchvision, which may need help to be imported
    from transformers import AutoImageProcessor, AutoModelForImageTextToText, AutoTokenizer

    try:
        model = AutoModelForImageTextToText.from_pretrained(folder, local_files_only=True).eval()
        prepare = AutoImageProcessor.from_pretrained(folder, local_files_only=True, use_fast=False)
        return model, prepare, AutoTokenizer.from_pretrained(folder, local_files_only=True)
    except (OSError, ValueError, KeyError) as error:
        raise ValueError(
            f"captioner {folder}: expected a captioning model of transformers, its tokenizer and image processor, "
            f"got {' '.join(str(error).split())}"
        ) from error


@torch.inference_mode()
def _written(pictures: Sequence[np.ndarray], model: Any, prepare: Any, tokenizer: Any) -> Iterator[Captions]:
    for start in range(0, len(pictures), BATCH):
        part = [pictures[i] for i in range(start, min(len(pictures), start + BATCH))]
        pixels = prepare(images=part, return_tensors="pt").pixel_values
        tokens = model.generate(pixel_values=pixels, max_new_tokens=LONGEST, do_sample=False)
        for text in tokenizer.batch_decode(tokens, skip_special_tokens=True):
            line = " ".join(text.split())
            yield (line,) if line else ()


MACHINE_CAPTIONS = Countermeasure(
    "machine-captions",
    Kind.TEXT,
    "published pictures with captions that the model of --captioner writes of them, at the size attackers train at",
    "lets a model write new captions",
    setting="captioner",
    from_setting=write_captions,
    amount=True,
    strong=True,
)
ROWS = (MACHINE_CAPTIONS,)
