"""One photo: read, protected, written, read again and measured."""

import io
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from protect.data.metadata.metadata import new_metadata
from protect.data.photo_captions import new_sidecars
from protect.data.photo_files import Unsuited, decode_still
from protect.data.photo_folder import Entry
from protect.data.photo_samples import read_photo
from protect.data.photo_writer import encode_still
from protect.files import write_whole
from protect.jobs.photos.records import PhotoRecord
from protect.methods.parts.phrases import suggestions
from protect.methods.parts.writing import write_words
from protect.methods.protector import Protector
from protect.publish.gate import publish
from protect.publish.photo_noise import visible_change
from protect.samples import Words
from protect.settings.publish import STRENGTHS, PhotoSettings
from protect.settings.recipe import NATURAL, written_style

MOST_PSNR = 100.0  # dB, for a photo that nothing was changed of


@dataclass(frozen=True)
class Protected:
    """A photo ready to be written: its record, the bytes of the file, those of its sidecars by name."""

    record: PhotoRecord
    data: bytes
    sidecars: Mapping[str, bytes]

    def write(self, out: Path) -> None:
        """The texts, then the photo, each whole or not at all."""
        target = out / self.record.name
        target.parent.mkdir(parents=True, exist_ok=True)
        for name, data in self.sidecars.items():
            write_whole(target.with_name(name), data)
        write_whole(target, self.data)


class Marked(Unsuited):
    """A photo that this tool has protected already."""


def protect_photo(
    entry: Entry, listed: Mapping[str, str], protector: Protector, settings: PhotoSettings, wanted: str = ""
) -> Protected:
    """Protects one photo in memory; the figures of the record are those of its bytes, decoded again.

    `wanted` is the text that was chosen, where several are suggested; any other text means the first one.
    Raises what `read_still` raises, Marked, BudgetError.
    """
    photo = read_photo(entry, listed, settings)
    still, caption = photo.still, photo.caption
    if still.metadata.marked:
        raise Marked("protected already by this tool")
    [perturbation] = protector.perturb([protector.look(photo.prepared)])
    noise, words, size = perturbation()
    text, *alternatives = texts_to_post(caption.text, words, protector, settings, wanted)
    new = new_metadata(still.metadata, text, still.image.size, settings)
    strength = STRENGTHS[settings.strength]
    change, fit = visible_change(still.image, noise, protector.recipe.noise.epsilon, strength, size)
    made = publish(
        still,
        change,
        fit.epsilon,
        lambda image: encode_still(still, image, new, settings.quality),
        lambda data: decode_still(io.BytesIO(data), settings.max_pixels),
        strength.floor,
    )
    record = PhotoRecord(
        name=entry.name,
        status="protected",
        reason="; ".join((*still.notes, *new.notes, *made.notes)),
        caption_before=caption.text,
        caption=text,
        caption_from=caption.source,
        suggested=caption.suggested,
        alternatives=tuple(alternatives),
        width=still.image.width,
        height=still.image.height,
        epsilon=round(fit.epsilon * made.scale, 3),
        linf=float(made.change.linf),
        psnr=round(min(made.change.psnr, MOST_PSNR), 2),
        ssim=round(made.change.ssim, 4),
        lowered=fit.lowered or made.scale < 1,
        written=len(made.data),
    )
    return Protected(record, made.data, new_sidecars(entry, photo.texts, text, settings))


def texts_to_post(
    caption: str, words: Words, protector: Protector, settings: PhotoSettings, wanted: str = ""
) -> tuple[str, ...]:
    """The text to post with a photo, and alternatives where it has no caption; first the one that is `wanted`.

    Without a caption words are written as a person would, unless another style was set.
    """
    trigger = protector.recipe.trigger
    style = settings.trigger_style or (trigger.trigger_style if caption else NATURAL)
    assert style is not None, "a recipe fills in its method's style"
    written = written_style(style, settings.language or trigger.language)
    if style == NATURAL and words and not caption:
        return tuple(sorted(suggestions(words, written), key=lambda text: text != wanted))
    return (write_words(caption, words, written).strip(),)
