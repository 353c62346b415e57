"""JSON edited in place: what does not change stays as it was written, byte for byte."""

import json
import re
from collections.abc import Callable
from typing import Any

from protect.data.text import BOM

TOKEN = re.compile(r'"[^"\\]*(?:\\.[^"\\]*)*"|[{}\[\]:,]|[^\s{}\[\]:,"]+')
LONE_SURROGATE = re.compile("[\ud800-\udfff]")

JsonPath = tuple[str | None, ...]  # names of the fields around a value; None for a list
DAMAGE = (json.JSONDecodeError, RecursionError)


def edit_json(text: str, change: Callable[[JsonPath, Any], Any], rename: Callable[[str], str] | None = None) -> str:
    """Valid JSON with each scalar replaced by change(path, scalar) and each field's name by rename(name)."""
    path: list[str | None] = []
    in_object: list[bool] = []
    at_name = False

    def replace(match: re.Match[str]) -> str:
        nonlocal at_name
        token = match[0]
        if token in "{[":
            path.append(None)
            in_object.append(token == "{")
        elif token in "}]":
            path.pop()
            in_object.pop()
        if token in "{}[]:,":
            at_name = token in "{," and in_object[-1]
            return token
        scalar = json.loads(token)
        if at_name:
            path[-1] = scalar
            new = rename(scalar) if rename else scalar
        else:
            new = change(tuple(path), scalar)
        return token if new is scalar or new == scalar else _literal(new, token)

    return BOM * text.startswith(BOM) + TOKEN.sub(replace, text.removeprefix(BOM))


def holds_json(text: str) -> Any:
    """The object or list that a text is the JSON of; None for any other text."""
    if text.lstrip(" \t\r\n" + BOM)[:1] not in ("{", "["):
        return None
    try:
        return json.loads(text.removeprefix(BOM))
    except DAMAGE:
        return None


def _literal(value: Any, style: str) -> str:
    escape = style.isascii() or (isinstance(value, str) and LONE_SURROGATE.search(value) is not None)
    return json.dumps(value, ensure_ascii=escape)
