import torch

from protect.verify.reading.high_pass import high_pass


def test_flat_and_evenly_rising_pictures_have_no_residual():
    ramp = torch.arange(12.0).expand(1, 3, 9, 12) / 12
    assert high_pass(torch.full((1, 3, 9, 12), 0.3)).abs().max() < 1e-6
    assert high_pass(ramp)[..., 2:-2].abs().max() < 1e-6


def test_a_checkerboard_passes_whole():
    board = (torch.arange(8)[:, None] + torch.arange(8)) % 2 - 0.5
    assert torch.allclose(high_pass(board.expand(1, 3, 8, 8)), board.expand(1, 3, 8, 8), atol=1e-5)
