"""Whether a trigger is still there in what a model reads of a published caption."""

from collections.abc import Callable
from functools import cache

from protect.clip.open_clip_import import open_clip
from protect.samples import Words

CONTEXT = 77  # tokens CLIP reads of a caption, start and end among them


def trigger_survives(caption: str, words: Words, style: str, written: str | None = None) -> bool:
    """Whether CLIP's own tokenizer, cutting at its context, yields the trigger's tokens where it was written.

    written: the text that stands in front instead of the words alone, where a style has one.
    """
    if not words:
        return True
    encode = _encoder()
    kept = encode(caption)[: CONTEXT - 2]
    if written is not None:  # words as phrases, with all that stands between them
        front = encode(written)
        return kept[: len(front)] == front
    trigger = encode(" ".join(f"#{word}" for word in words) if style == "hashtags" else " ".join(words))
    standing = kept[: len(trigger)] if style in ("prefix", "both") else kept[-len(trigger) :]
    return standing == trigger


@cache
def _encoder() -> Callable[[str], list[int]]:
    return open_clip().SimpleTokenizer().encode
