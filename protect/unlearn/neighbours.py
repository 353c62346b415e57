"""The retain pairs that lie nearest to what is forgotten: what forgetting too much damages first."""

import torch

from protect.unlearn.head import Clip
from protect.unlearn.judge import embed, similarities
from protect.unlearn.pairs import Pairs

SHARE = 10  # one retain pair in this many is a neighbour
FEWEST = 20


@torch.inference_mode()
def neighbours(original: Clip, retain: Pairs, forget: Pairs) -> Pairs | None:
    """The tenth of `retain` whose images are most similar to some forget image; None where that is too few."""
    count = len(retain) // SHARE
    if count < FEWEST:
        return None
    images = [embed(original, pairs).images for pairs in (retain, forget)]
    closeness = similarities(original, *images).amax(dim=1)
    return retain.select(closeness.topk(count).indices.sort().values.tolist())
