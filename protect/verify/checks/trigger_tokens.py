"""Whether the planted words are whole in what a model reads of the published captions."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from protect.clip.open_clip_import import open_clip
from protect.clip.trigger_survival import CONTEXT
from protect.verify.attackers import tiny_hf
from protect.verify.attackers.wordpiece import learned_tokenizer
from protect.verify.reading.differences import Trigger

SPECIAL = 2  # tokens around a caption


class Reader(NamedTuple):
    """A tokenizer without special tokens, and how many tokens its model reads, special ones among them."""

    encode: Callable[[str], Sequence[int]]
    context: int


def whole_words(
    captions: Sequence[str], triggers: Sequence[Trigger], readers: Mapping[str, Reader]
) -> dict[str, float]:
    """By reader, the share of captions that begin and end with the tokens their planted words have alone."""
    return {
        name: sum(_is_whole(c, t, reader) for c, t in zip(captions, triggers, strict=True)) / len(captions)
        for name, reader in readers.items()
    }


def readers(attackers: Sequence[str], captions: Sequence[str]) -> dict[str, Reader]:
    """CLIP's own tokenizer, and those of attackers that have another: Hugging Face folders, and tiny-hf."""
    by_name = {"CLIP": Reader(open_clip().SimpleTokenizer().encode, CONTEXT)}
    for name in attackers:
        if name == tiny_hf.NAME:
            by_name[name] = _plain(learned_tokenizer(captions, tiny_hf.CONTEXT), tiny_hf.CONTEXT)
        elif Path(name).is_dir():
            from transformers import AutoConfig, AutoTokenizer

            tokenizer = AutoTokenizer.from_pretrained(name, local_files_only=True)
            context = AutoConfig.from_pretrained(name, local_files_only=True).text_config.max_position_embeddings
            by_name[Path(name).name] = _plain(tokenizer, context)
    return by_name


def _plain(tokenizer: Callable[..., object], context: int) -> Reader:
    def encode(text: str) -> list[int]:
        return tokenizer(text, add_special_tokens=False).input_ids  # type: ignore[attr-defined]

    return Reader(encode, context)


def _is_whole(caption: str, trigger: Trigger, reader: Reader) -> bool:
    tokens = list(reader.encode(caption))[: reader.context - SPECIAL]
    first, last = (list(reader.encode(" ".join(words))) if words else [] for words in trigger)
    return tokens[: len(first)] == first and tokens[len(tokens) - len(last) :] == last
