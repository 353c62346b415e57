"""Staged training: shallow layers, which take to noise first, stop learning before the deep ones."""

import torch

from protect.clip.models import DualEncoder
from protect.settings.verify import VerifySettings
from protect.verify.defences.base import Defence, StepInputs
from protect.verify.defences.layer_order import image_tower, text_tower

START = 0.1  # share of the training in which everything learns


class Staged(Defence):
    """Progressive staged training (Dang et al. 2023, arXiv 2306.02064) on a fixed timetable.

    After a tenth of the training, the front of what no longer learns moves evenly through both towers, from their
    first layer on.
    The paper moves it when it sees a class-wise sign of over-fitting, which pairs without classes do not have.
    """

    def __init__(self, model: DualEncoder, settings: VerifySettings) -> None:
        super().__init__(model, settings)
        was_training = model.training
        model.eval()  # the measurement must not move batch statistics
        towers = [image_tower(model), text_tower(model)]
        model.train(was_training)
        self.depths = [(p, i / len(tower)) for tower in towers for i, p in enumerate(tower)]

    def loss(self, inputs: StepInputs) -> torch.Tensor:
        front = (inputs.done - START) / (1 - START)
        for parameter, depth in self.depths:
            parameter.requires_grad_(depth >= front)
        return super().loss(inputs)
