"""MEM as published (Liu et al. 2024), written plainly: what mem_speed.py measures the tool against.

fp32, both towers for every candidate, 77 tokens a caption, gradients of everything. One thing is not as published:
candidates are chosen and accepted row by row and not by the batch, and the word that stands there is no candidate, as
in the tool, so that equal work gives equal words. Images are in [0, 1], noise in 255ths.
"""

import copy
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from protect.clip.fast.attention import SelfAttention
from protect.clip.fast.batch_norm import FrozenNorm
from protect.clip.fast.patch_embedding import PatchEmbedding
from protect.clip.fast.pooling import FirstTokenBlock, OneQueryPool
from protect.clip.models import optimizer
from protect.clip.open_clip_import import open_clip
from protect.clip.open_clip_model import OpenClip

open_clip()  # first: see there
from open_clip.modified_resnet import AttentionPool2d  # noqa: E402
from open_clip.transformer import ResidualAttentionBlock  # noqa: E402

PLAIN: dict[type, type] = {  # torch's and open_clip's own layers again
    SelfAttention: nn.MultiheadAttention,
    FrozenNorm: nn.BatchNorm2d,
    PatchEmbedding: nn.Conv2d,
    FirstTokenBlock: ResidualAttentionBlock,
    OneQueryPool: AttentionPool2d,
}


class Baseline:
    """The schedule's three steps on a copy of a surrogate's weights."""

    def __init__(self, surrogate: OpenClip, learning_rate: float = 1e-4, weight_decay: float = 0.2) -> None:
        self.model = copy.deepcopy(surrogate.model).float().requires_grad_(True)
        for module in self.model.modules():
            module.__class__ = PLAIN.get(type(module), type(module))
        self.mean, self.std, self.context = surrogate.mean, surrogate.std, surrogate.context
        self.optimizer = optimizer(self.model, learning_rate, weight_decay)

    def surrogate_step(self, images: Tensor, tokens: Tensor) -> None:
        self.model.train()
        self.optimizer.zero_grad()
        self.loss(images, tokens).backward()
        self.optimizer.step()

    def text_step(self, images: Tensor, tokens: Tensor, ids: Tensor, candidates: int) -> Tensor:
        """Better words at tokens 1, 2, ...; ids: (position, symbol). Returns the new token rows."""
        self.model.eval()
        table = self.model.token_embedding
        embedded: list[Tensor] = []
        hook = table.register_forward_hook(
            lambda module, inputs, output: embedded.append(output) or output.retain_grad()
        )
        self.loss(images, tokens).backward()
        hook.remove()
        for position, allowed in enumerate(ids):
            gradient = embedded[0].grad[:, 1 + position]
            present = tokens[:, 1 + position, None]
            slope = (gradient @ table.weight[allowed].detach().T).masked_fill(allowed == present, torch.inf)
            best = allowed[slope.topk(min(candidates, len(allowed) - 1), largest=False).indices]
            options = torch.cat([present, best], dim=1)
            with torch.no_grad():
                logits = [self.logits(images, _with(tokens, 1 + position, option)) for option in options.T]
            losses = torch.stack([_loss_of_each_row(logits[0], changed) for changed in logits], dim=1)
            asked = _with(tokens, 1 + position, options.gather(1, losses.argmin(dim=1, keepdim=True)).squeeze(1))
            tokens = self._accepted(images, tokens, asked)
        self.model.zero_grad()
        return tokens

    @torch.no_grad()
    def _accepted(self, images: Tensor, tokens: Tensor, asked: Tensor) -> Tensor:
        """The asked rows whose own loss falls with all of them, if the batch's loss falls with these."""
        falls = _own_losses(self.logits(images, asked)) < _own_losses(self.logits(images, tokens))
        together = torch.where(falls[:, None], asked, tokens)
        return together if self.loss(images, together) < self.loss(images, tokens) else tokens

    def image_step(
        self, images: Tensor, noise: Tensor, draw_tokens: Callable[[], Tensor], steps: int, epsilon: float
    ) -> Tensor:
        """`steps` signed gradient steps of 1/255; draw_tokens gives rows with the captions dealt anew."""
        self.model.eval()
        changed = (images + noise / 255).clamp(0, 1)
        for _ in range(steps):
            changed = changed.detach().requires_grad_()
            self.loss(changed, draw_tokens()).backward()
            noise = (changed.detach() - changed.grad.sign() / 255 - images) * 255
            noise = noise.clamp(-epsilon, epsilon)
            changed = (images + noise / 255).clamp(0, 1)
            self.model.zero_grad()
        return (changed - images).detach() * 255

    def loss(self, images: Tensor, tokens: Tensor) -> Tensor:
        logits = self.logits(images, tokens)
        match = torch.arange(len(logits), device=logits.device)
        return (F.cross_entropy(logits, match) + F.cross_entropy(logits.T, match)) / 2

    def logits(self, images: Tensor, tokens: Tensor) -> Tensor:
        tokens = F.pad(tokens, (0, self.context - tokens.shape[1]))
        image = F.normalize(self.model.encode_image((images - self.mean) / self.std), dim=-1)
        text = F.normalize(self.model.encode_text(tokens), dim=-1)
        return self.model.logit_scale.exp() * image @ text.T


def _with(tokens: Tensor, place: int, ids: Tensor) -> Tensor:
    tokens = tokens.clone()
    tokens[:, place] = ids
    return tokens


def _own_losses(logits: Tensor) -> Tensor:
    """Each pair's share of the loss, both directions averaged."""
    match = torch.arange(len(logits), device=logits.device)
    return (F.cross_entropy(logits, match, reduction="none") + F.cross_entropy(logits.T, match, reduction="none")) / 2


def _loss_of_each_row(present: Tensor, changed: Tensor) -> Tensor:
    """Loss of the batch when one row alone takes its changed text: its column of the logits."""
    rows = torch.arange(len(present), device=present.device)
    each = present.repeat(len(present), 1, 1)
    each[rows, :, rows] = changed.T
    match = rows.expand(len(present), -1)
    both = (F.cross_entropy(x, match, reduction="none").mean(dim=1) for x in (each.transpose(1, 2), each))
    return sum(both, torch.zeros(())) / 2
