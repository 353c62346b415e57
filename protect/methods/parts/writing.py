"""Trigger words written into a caption; no torch."""

from protect.methods.parts.phrases import natural
from protect.samples import Words
from protect.settings.recipe import NATURAL


def write_words(caption: str, words: Words, style: str) -> str:
    """The caption as it is published; `style` is that of TriggerSettings.style."""
    if not words:
        return caption
    if style.startswith(NATURAL):
        return natural(caption, words, style)
    if style == "prefix":
        return " ".join((*words, caption))
    if style == "both":  # of two copies one is left when words are dropped at random or a caption is cut
        return " ".join((*words, caption, *words))
    return " ".join((caption, *(f"#{word}" if style == "hashtags" else word for word in words)))
