"""Where a sample's captions and links to its original stand, and how its members are changed.

A caption is one line, without the whitespace around it: of the `.txt`, of a JSON field, of a parquet column.
"""

import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

from protect.data.edits import Change, Edits, is_caption_field
from protect.data.extras import is_litter, what_is
from protect.data.json_text import LONE_SURROGATE, JsonPath
from protect.data.links import own_names
from protect.data.shards import image_member, split_name
from protect.data.text import BOM, LINE, Text, fold, is_text, read_text
from protect.samples import Member, Sample
from protect.settings.publish import PublishSettings

TEXT_NAMES = ("txt", "caption", "captions", "text")  # extensions of members whose lines are captions

__all__ = ["CaptionError", "Change", "captions_of", "fold", "look_at", "rewrite_captions"]


class CaptionError(ValueError):
    """Captions, or the file they stand in, that cannot be read."""


class Undecided(NamedTuple):
    """What a sample holds that only its owner can decide about: names of fields and members."""

    links: tuple[str, ...]
    others: tuple[str, ...]


def captions_of(sample: Sample, keys: Sequence[str]) -> tuple[str, ...]:
    """All distinct captions: the lines of the text members, then the top-level JSON fields `keys` (any case).

    Where there are none, those that stand beside the shard. Raises CaptionError when one of these members is not
    Unicode text or not JSON.
    """
    texts = [_text(sample, m).text for m in sample.members if _extension(m) in TEXT_NAMES]
    for fields in _json_fields(sample):
        for key in keys:
            named = ((name, value) for name, value in fields.items() if name.lower() == key.lower())
            texts += [t for name, v in named for path, t in _texts(v, (name,)) if is_caption_field(path, keys)]
    captions = tuple(dict.fromkeys(caption for text in texts for caption in LINE.findall(text))) or sample.beside
    if any(LONE_SURROGATE.search(caption) for caption in captions):
        raise CaptionError(
            f"{sample.key}: expected Unicode text, found an unpaired surrogate (\\ud800); fix the caption"
        )
    return captions


def look_at(sample: Sample, settings: PublishSettings, same: Mapping[str, bytes] | None = None) -> Undecided:
    """What only the owner can decide about; `same`: members that show the sample's picture too.

    Raises CaptionError as `captions_of` does.
    """
    asked = PublishSettings(caption_keys=settings.caption_keys, keep_gps=settings.keep_gps)
    edits = _edits(sample, str, asked)
    others = [
        f"{m.name} ({what})" for m in sample.members if (what := _other(sample, m)) and m.name not in (same or {})
    ]
    for member in sample.members:
        _rewritten(sample, member, edits)
    return Undecided(tuple(dict.fromkeys(edits.links)), tuple(dict.fromkeys([*others, *edits.others])))


def rewrite_captions(
    sample: Sample,
    change: Change,
    settings: PublishSettings,
    same: Mapping[str, bytes] | None = None,
    counts: Counter[str] | None = None,
) -> Sample:
    """The sample with every caption changed, and its links and other members as `settings` say.

    Any other line or JSON string that repeats a caption, up to whitespace, case and punctuation, is changed too: at
    any depth, inside JSON kept in a string (`exif`), in further members like KEY.en.txt. Links are emptied if
    `settings.urls` is strip; members that may hold the picture are left out if `settings.others` is drop, but for
    those in `same`, which have new bytes. All else stays, byte for byte. `counts` grows by what was done.
    Raises CaptionError as `captions_of` does.
    """
    edits = _edits(sample, change, settings)
    members = _members(sample, edits, same or {}, lambda member: _rewritten(sample, member, edits))
    if counts is not None:
        counts.update(edits.counts)
    return Sample(sample.key, members, tuple(map(change, sample.beside)))


def as_decided(sample: Sample, settings: PublishSettings) -> Sample:
    """A sample that cannot be protected: its captions as they are, its links and other members as `settings` say."""
    edits = Edits((), str, settings, own_names(sample.key, [m.name for m in sample.members]))

    def rewritten(member: Member) -> bytes:
        try:
            return _rewritten(sample, member, edits)
        except ValueError:  # no Unicode, or no JSON: what can be read of it is looked through
            if not is_text(member.data):
                return member.data
            found = read_text(member.data)
            return found.encode(edits.text((), found.text))

    return replace(sample, members=_members(sample, edits, {}, rewritten))


def _members(
    sample: Sample, edits: Edits, same: Mapping[str, bytes], rewritten: Callable[[Member], bytes]
) -> tuple[Member, ...]:
    members: list[Member] = []
    for member in sample.members:
        if member.name in same:
            edits.counts["same picture"] += 1
            members.append(Member(member.name, same[member.name]))
        elif _other(sample, member):
            edits.counts["others dropped" if edits.settings.others == "drop" else "others kept"] += 1
            members += [] if edits.settings.others == "drop" else [member]
        else:
            members.append(Member(member.name, rewritten(member)))
    return tuple(members)


def without_litter(sample: Sample) -> tuple[Sample, int]:
    """The sample without what macOS leaves in archives, and how many such files it had."""
    members = tuple(member for member in sample.members if not is_litter(member.name))
    return replace(sample, members=members), len(sample.members) - len(members)


def other_members(sample: Sample) -> tuple[Member, ...]:
    """Members that may hold the picture once more, by their bytes; not the picture itself."""
    return tuple(member for member in sample.members if _other(sample, member))


def _edits(sample: Sample, change: Change, settings: PublishSettings) -> Edits:
    captions = captions_of(sample, settings.caption_keys) if sample.key else ()
    return Edits(captions, change, settings, own_names(sample.key, [m.name for m in sample.members]))


def _other(sample: Sample, member: Member) -> str:
    """What a member is beside the picture, its texts and its labels; "" for those."""
    if _extension(member) in (*TEXT_NAMES, "json") or member == image_member(sample):
        return ""
    return what_is(member.data)


def _rewritten(sample: Sample, member: Member, edits: Edits) -> bytes:
    extension = _extension(member)
    if member == image_member(sample):
        return member.data
    if extension in TEXT_NAMES or extension == "json":
        found = _text(sample, member)
        changed = edits.lines(found.text) if extension != "json" else edits.json(found.text)
    elif is_text(member.data):
        found = read_text(member.data)
        changed = edits.text((extension,) if extension else (), found.text)
    else:
        return member.data  # a label
    return member.data if changed == found.text else found.encode(changed)


def _texts(value: Any, path: JsonPath) -> Iterator[tuple[JsonPath, str]]:
    """Texts in a JSON value, each with the names around it."""
    if isinstance(value, str):
        yield path, value
    elif isinstance(value, dict | list):
        items = value.items() if isinstance(value, dict) else ((None, inner) for inner in value)
        for name, inner in items:
            yield from _texts(inner, (*path, name))


def _extension(member: Member) -> str:
    return split_name(member.name)[1]


def _text(sample: Sample, member: Member) -> Text:
    try:
        return read_text(member.data)
    except UnicodeDecodeError as error:
        raise CaptionError(
            f"{sample.key}: expected UTF-8 in {member.name}, found byte {member.data[error.start]:#04x} at "
            f"{error.start}; convert the file to UTF-8"
        ) from error


def _json_fields(sample: Sample) -> list[dict[str, Any]]:
    """The JSON object of a sample, if it has one."""
    parsed = []
    for member in sample.members:
        if _extension(member) == "json":
            try:
                parsed.append(json.loads(_text(sample, member).text.removeprefix(BOM)))
            except (ValueError, RecursionError) as error:
                if isinstance(error, CaptionError):
                    raise
                raise CaptionError(
                    f"{sample.key}: expected JSON in {member.name}, found {error}; fix or remove the file"
                ) from error
    return [fields for fields in parsed if isinstance(fields, dict)]
