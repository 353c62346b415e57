"""Multi-step Error Minimization (MEM, ACM MM 2024, arXiv 2407.16307): noise and words against one contrastive loss.

min over surrogate, noise d and words t of the CLIP loss of (x + d, t + c), |d| <= epsilon: every image x has a noise
and words of its own, and its caption c follows the words. In each round, in the order of the authors' code:

1. surrogate steps: AdamW on batches as they are protected now;
2. word steps, in the first rounds: HotFlip, position by position (`parts/hotflip.py`);
3. noise steps: signed gradients, where the words stay with their image and the captions of a batch are permuted, so
   that the noise binds to the words and not to what the caption means (`parts/pgd.py`).

Words and noise start as `start.py` says. Unlike the code, each row takes its own best candidate word, and only where
the loss of the batch falls.
"""

from collections.abc import Callable

import torch

from protect.data.window import Window
from protect.methods.fitted import Fitted, Protect
from protect.methods.parts.checkpoint import Checkpoint
from protect.methods.parts.per_image import fit_per_image, per_image_protector
from protect.methods.recipe import Recipe
from protect.methods.start import fit_start, start_all, start_of


def fit(
    window: Window,
    recipe: Recipe,
    device: torch.device,
    report: Callable[[str], None],
    checkpoint: Checkpoint | None = None,
) -> Fitted:
    """Rounds of surrogate steps, word steps (HotFlip) and noise steps with captions permuted (MEM section 3)."""
    first = fit_start(window, recipe, device)
    choice = start_all(window, start_of(first, recipe, device))
    return fit_per_image(window, recipe, first, choice, True, device, report, checkpoint)


def protector(fitted: Fitted, recipe: Recipe, device: torch.device) -> Protect:
    return per_image_protector(fitted, recipe, device, start_of(fitted, recipe, device), permute=True)
