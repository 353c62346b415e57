"""Filters drop pairs. What they drop was not learned from; the share is reported beside the row."""

import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from math import ceil
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from protect.clip.models import DualEncoder, choose_device, load_encoder
from protect.verify.countermeasures.base import Captions, Countermeasure, Kind
from protect.verify.countermeasures.text import FUNCTION_WORDS, fold_word
from protect.verify.reading.pairs import Pairs, centre

LATIN = 0.9  # share of an English caption's letters that are a to z
LONG = 4  # English captions with more words have a function word among them
WORDS, LETTERS = 3, 6  # the least of DataComp's basic filter
SCORE = 0.28  # LAION-2B-en's threshold, for OpenAI's ViT-B-32
BATCH = 64
DEED = "drops pairs that look odd"


def keep_captions(test: Callable[[str], bool], sets: Sequence[Captions]) -> list[Captions]:
    """The captions that pass; a pair without one is dropped."""
    return [tuple(filter(test, captions)) for captions in sets]


def looks_english(caption: str) -> bool:
    """Whether a caption is in Latin letters and, when it is a sentence, has an English function word."""
    letters = [letter for letter in caption if letter.isalpha()]
    if not letters or len(re.findall("[a-zA-Z]", caption)) < LATIN * len(letters):
        return False
    words = [fold_word(word) for word in caption.split()]
    return len(words) <= LONG or any(word in FUNCTION_WORDS for word in words)


def is_long_enough(caption: str) -> bool:
    """At least three words and six characters."""
    return len(caption.split()) >= WORDS and len(caption) >= LETTERS


def clip_score(weights: str) -> Countermeasure:
    """The row for a model: MODEL:WEIGHTS of open_clip (ViT-B-32:clip.pt), or a Hugging Face folder.

    Raises ValueError for a name without weights; ValueError as load_encoder does when the row runs.
    """
    name, _, pretrained = weights.partition(":")
    if not pretrained and not Path(name).is_dir():
        raise ValueError(f"clip: expected MODEL:WEIGHTS or a folder of a trained CLIP, got {weights!r}")
    return replace(CLIP_SCORE, setting=None, pairs=partial(matching_pairs, model=partial(_load, name, pretrained)))


def matching_pairs(pairs: Pairs, model: Callable[[], DualEncoder]) -> Pairs:
    """The pairs whose picture and best caption have a cosine of at least 0.28."""
    scores = cosines(pairs, model())
    return pairs.select([row for row, score in enumerate(scores) if score >= SCORE])


@torch.inference_mode()
def cosines(pairs: Pairs, model: DualEncoder) -> list[float]:
    """Cosine of each picture with the caption that fits it best."""
    model.eval()
    best: list[float] = []
    for part in range(ceil(len(pairs) / BATCH)):
        rows = range(part * BATCH, min(len(pairs), (part + 1) * BATCH))
        views = [np.asarray(centre(Image.fromarray(pairs.pictures[row]), model.size)) for row in rows]
        pixels = torch.from_numpy(np.stack(views)).permute(0, 3, 1, 2).to(model.device).float().div_(255)
        captions = [model.encode(caption) for row in rows for caption in pairs.captions[row]]
        likeness = model.images(pixels) @ model.text(model.rows(captions)).T
        ends = np.cumsum([len(pairs.captions[row]) for row in rows])
        starts = [0, *ends[:-1].tolist()]
        best += [float(likeness[i, a:b].max()) for i, (a, b) in enumerate(zip(starts, ends.tolist(), strict=True))]
    return best


def _load(name: str, pretrained: str) -> DualEncoder:
    return load_encoder(name, choose_device("auto"), pretrained)


CLIP_SCORE = Countermeasure(
    "clip-score",
    Kind.FILTER,
    f"pairs dropped whose picture and caption have a CLIP cosine below {SCORE}",
    DEED,
    setting="clip",
    from_setting=clip_score,
    amount=True,
)

ROWS = (
    Countermeasure(
        "english-filter",
        Kind.FILTER,
        "captions that do not look English dropped",
        DEED,
        captions=partial(keep_captions, looks_english),
        amount=True,
    ),
    Countermeasure(
        "length-filter",
        Kind.FILTER,
        f"captions of under {WORDS} words or {LETTERS} characters dropped",
        DEED,
        captions=partial(keep_captions, is_long_enough),
        amount=True,
    ),
    CLIP_SCORE,
)
