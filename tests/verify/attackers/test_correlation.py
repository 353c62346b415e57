"""Canonical correlation finds what two sets of features share, whatever else they hold."""

import torch

from protect.verify.attackers.correlation import canonical_maps


def views(count=2000, shared=3, own=20):
    """Two mixtures: of the same few hidden numbers, and each of louder ones of its own."""
    random = torch.Generator().manual_seed(0)
    hidden = torch.randn(count, shared, generator=random, dtype=torch.float64)

    def view():
        noise = 3 * torch.randn(count, own, generator=random, dtype=torch.float64)
        whole = torch.cat([hidden, noise], 1)
        return whole @ torch.linalg.qr(torch.randn(shared + own, shared + own, generator=random).double()).Q

    return view(), view()


def test_what_is_shared_comes_first_and_agrees():
    x, y = views()
    to_x, to_y = canonical_maps(x[:1000], y[:1000], most=3)
    a, b = (x[1000:] - x.mean(0)) @ to_x, (y[1000:] - y.mean(0)) @ to_y
    same = torch.nn.functional.cosine_similarity(a, b)
    other = torch.nn.functional.cosine_similarity(a, b.roll(1, 0))
    assert same.mean() > 0.9 and other.mean().abs() < 0.1


def test_nothing_shared_gives_next_to_no_weight():
    x, y = views(shared=1)
    weights = [canonical_maps(x, other)[0].norm() for other in (y, y[torch.randperm(len(y))])]
    assert weights[1] < weights[0] / 2


def test_no_more_dimensions_than_asked_for_or_there_are():
    x, y = views()
    assert canonical_maps(x, y, most=5)[0].shape == (23, 5) and canonical_maps(x[:, :4], y)[1].shape == (23, 4)
