"""Seeds by name: stable everywhere, different for different purposes."""

import torch

from protect.seeds import derive, generator


def test_value_is_the_same_on_every_machine_and_in_every_release():
    assert derive(0, "noise", "000000001") == 6001234629807180469


def test_names_and_seeds_make_different_seeds():
    seeds = [derive(0), derive(1), derive(0, "a"), derive(0, "b"), derive(0, "a", "b"), derive(0, "ab"), derive(0, 1)]
    assert len(set(seeds)) == len(seeds)
    assert all(0 <= seed < 2**63 for seed in seeds)


def test_generators_repeat_and_leave_torch_alone():
    before = torch.get_rng_state()
    draws = [torch.rand(4, generator=generator(5, "x")) for _ in range(2)]
    assert torch.equal(draws[0], draws[1])
    assert not torch.equal(draws[0], torch.rand(4, generator=generator(5, "y")))
    assert torch.equal(torch.get_rng_state(), before)
