"""Textures that a network can read before it has learned anything.

Which of two things a network learns first is decided in its first steps, when its features are still nearly those
of its random weights. So the tiles are moved until the features of random networks tell them apart as well as they
can, over many networks, pictures and transformations; no network is ever trained.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import cycle, islice

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn

from protect.clip.models import DualEncoder, choose_device, families, load_encoder
from protect.data.window import Window
from protect.methods.parts.budget import Budget
from protect.methods.parts.eot import through
from protect.methods.parts.tiles import Tiles, superpose
from protect.seeds import derive, generator
from protect.settings.recipe import Recipe
from protect.types import Images

CHAINS = (("crop",), ("jpeg", "crop"))  # step by step; zoom and gray among them cost more than they gave
MOMENTA = (0.9, 0.99)  # Adam's
RIDGE = 0.02  # added to each variance, as a share of their mean
REPORTS = 20


def learn(tiles: Tiles, window: Window, recipe: Recipe, report: Callable[[str], None]) -> Tiles:
    """Raises the tiles' readability by Adam, each step on another network, batch and chain of transformations."""
    code, fit = recipe.code, recipe.fit
    device, random = choose_device(fit.device), generator(fit.seed, "readable")
    names, reach = families(fit.surrogate, device), Budget(recipe.noise.epsilon).reach
    chains = [through(chain) for chain in ((recipe.noise.through,) if recipe.noise.through else CHAINS)]
    turns = [(name, chain) for chain in chains for name in names]  # every family meets every chain
    tiles = tiles.to(device).clone().requires_grad_()
    optimizer = torch.optim.Adam([tiles], lr=code.tile_step * reach / 8, betas=MOMENTA)
    batches = window.forever(min(2 * fit.batch, len(window)), random)
    for number, (name, transform) in enumerate(islice(cycle(turns), code.tile_steps)):
        network = load_encoder(name, device, size=fit.size, seed=derive(fit.seed, "readable", number))
        images = window.batch(next(batches)).images.to(device)
        choice = torch.randint(0, tiles.shape[1], (len(images), len(tiles)), generator=random)
        draw = int(torch.randint(0, 1 << 62, (1,), generator=random))
        changed = Budget(recipe.noise.epsilon).apply(images, superpose(tiles, choice, window.size, reach))
        before, after = (
            stages(network, transform(seen, torch.Generator().manual_seed(draw))) for seen in (images, changed)
        )
        found = readability(before, after, choice, tiles.shape[1])
        optimizer.zero_grad()
        (-found).backward()
        optimizer.step()
        with torch.no_grad():
            tiles.clamp_(-reach, reach)
        if (number + 1) % -(-code.tile_steps // REPORTS) == 0 or number + 1 == code.tile_steps:
            report(f"step {number + 1}/{code.tile_steps}: readability {found.item():.2f} ({name})")
    return tiles.detach().cpu()


def readability(
    clean: Sequence[Tensor], changed: Sequence[Tensor], choice: Int[Tensor, "batch position"], symbols: int
) -> Float[Tensor, ""]:
    """How well symbols can be told apart: mean of log(1 + squared distance) over pairs of a position's symbols.

    Distances are between the symbols' effects (what they add to the features of an image, averaged over images), in
    standard deviations of clean pictures, and are summed over stages. The two halves of the batch are multiplied, so
    that chance adds nothing (Fisher's criterion, cross-validated); the logarithm keeps a few loud symbols from
    outweighing the others.
    """
    half, total = len(choice) // 2, torch.zeros((), device=changed[0].device)
    for before, after in zip(clean, changed, strict=True):
        effect = whiten(after - before, before)
        first, second = (_means(effect[part], choice[part], symbols) for part in (slice(half), slice(half, None)))
        product = first @ second.transpose(1, 2)
        own = product.diagonal(dim1=1, dim2=2)
        total = total + own[:, :, None] + own[:, None, :] - product - product.transpose(1, 2)
    upper = torch.ones(symbols, symbols, dtype=torch.bool).triu(1)
    return torch.log1p(total[:, upper].clamp(min=-0.5)).mean()


def whiten(effect: Tensor, features: Tensor) -> Tensor:
    """An effect in units of the features' own spread over clean pictures."""
    centred = (features - features.mean(0)).detach()
    spread = centred.T @ centred / len(centred)
    ridge = RIDGE * spread.diagonal().mean() + torch.finfo(spread.dtype).tiny ** 0.5
    factor = torch.linalg.cholesky(spread + ridge * torch.eye(len(spread), device=spread.device))
    return torch.linalg.solve_triangular(factor, effect.T, upper=False).T


def _means(effect: Tensor, choice: Tensor, symbols: int) -> Tensor:
    """Mean effect of each symbol, (position, symbol, feature)."""
    chosen = F.one_hot(choice.to(effect.device), symbols).to(effect.dtype)
    return torch.einsum("bps,bd->psd", chosen, effect) / chosen.sum(0).clamp(min=1)[..., None]


def stages(network: DualEncoder, images: Images) -> list[Tensor]:
    """Features (batch, channels) after every stage of an untrained image tower, averaged over places."""
    network.train().requires_grad_(False)  # norms in training mode: an attacker's first steps
    with _watched(network) as outputs:
        network.images(images)
    return [_pooled(output, len(images)) for output in outputs]


def _pooled(output: Tensor, count: int) -> Tensor:
    if output.dim() == 4:
        return output.float().mean((2, 3))
    places = output if output.shape[0] == count else output.transpose(0, 1)
    return places.float().mean(1) if places.dim() == 3 else places.float()


@contextmanager
def _watched(network: DualEncoder) -> Iterator[list[Tensor]]:
    outputs: list[Tensor] = []
    hooks = [part.register_forward_hook(lambda *call: outputs.append(_first(call[-1]))) for part in _parts(network)]
    try:
        yield outputs
    finally:
        for hook in hooks:
            hook.remove()


def _first(output: object) -> Tensor:
    found = output[0] if isinstance(output, tuple) else output
    assert isinstance(found, Tensor)
    return found


def _parts(network: DualEncoder) -> list[nn.Module]:
    """The tower's stages: a ResNet's numbered layers, or a transformer's blocks."""
    model = network.model
    tower = model.visual if hasattr(model, "visual") else model.vision_model
    layers = [part for name, part in tower.named_children() if name.startswith("layer") and name[-1:].isdigit()]
    return layers or next(list(part) for part in tower.modules() if isinstance(part, nn.ModuleList) and len(part))
