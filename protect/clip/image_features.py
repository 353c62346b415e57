"""Features of many images by a frozen encoder, a part of the batch on each thread."""

from protect.clip.dual_encoder import DualEncoder
from protect.clip.fast.row_parallel import by_rows, parts_for
from protect.types import Features, Images

LEAST = 1 << 16  # pixels that are worth a thread of their own: 16 pictures of 64 pixels, 2 of 224
PIXELS = 1 << 19  # at a time, at most: what layers make of more is memory asked of the system anew every time


def image_features(surrogate: DualEncoder, images: Images) -> Features:
    """`surrogate.images(images)`; on a processor, a frozen one takes its pictures in parts."""
    frozen = not surrogate.training and not any(value.requires_grad for value in surrogate.parameters())
    if not frozen or images.device.type != "cpu":
        return surrogate.images(images)
    pixels = len(images) * images.shape[2] * images.shape[3]
    return by_rows(surrogate.images, images, parts=parts_for(pixels, LEAST, PIXELS, images.device))
