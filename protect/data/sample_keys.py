"""Sample keys that tables and tars spell in different ways: ./7, 000000007, 7, 7.0 and b"7"."""

import unicodedata
from collections.abc import Iterable
from typing import Any

from protect.data.file_types import PICTURE_NAMES


def key_text(key: Any) -> str:
    """A key as text: whole numbers without their fraction, bytes as UTF-8, None as nothing."""
    if isinstance(key, bytes):
        return key.decode(errors="surrogateescape")
    if isinstance(key, float) and key.is_integer():
        return str(int(key))
    return "" if key is None else str(key)


class Keys:
    """Finds the sample that a key of a table means: as written, else by the form that both share.

    A form that two samples share means neither of them.
    """

    def __init__(self, keys: Iterable[str]) -> None:
        self._exact = set(keys)
        self._forms: dict[str, str | None] = {}
        for key in self._exact:
            for form in _forms(key):
                self._forms[form] = key if self._forms.get(form, key) == key else None

    def find(self, key: Any) -> str | None:
        """The sample's own key; None when there is none."""
        text = key_text(key)
        if text in self._exact:
            return text
        return next((found for form in _forms(text) if (found := self._forms.get(form)) is not None), None)


def _forms(key: str) -> tuple[str, ...]:
    """Ever looser spellings of a key: without ./ and extension, then the name alone, then its number."""
    text = unicodedata.normalize("NFC", key.strip()).replace("\\", "/")
    while text.startswith(("./", "/")):
        text = text[1:] if text[0] == "/" else text[2:]
    stem, dot, ending = text.rpartition(".")
    if dot and f".{ending.lower()}" in PICTURE_NAMES:
        text = stem
    name = text.rsplit("/", 1)[-1]
    number = name.removesuffix(".0")
    forms = [text, name, str(int(number)) if number.isascii() and number.isdigit() and len(number) < 40 else name]
    return tuple(dict.fromkeys(form for form in forms if form))
