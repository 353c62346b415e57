"""A CLIP without towers, for tests of losses: embeddings are given."""

import torch
import torch.nn.functional as F

from protect.unlearn.head import Clip

SCALE = torch.tensor(10.0)


class GivenEmbeddings(Clip):
    """Only its scale is asked for."""

    def __init__(self):
        torch.nn.Module.__init__(self)

    @property
    def scale(self):
        return SCALE


def unit(seed, count=6, dim=8):
    """Embeddings drawn from a seed, of unit length."""
    return F.normalize(torch.randn(count, dim, generator=torch.Generator().manual_seed(seed)), dim=-1)
