"""Easy data augmentation: captions that change at every step."""

from protect.types import Features
from protect.verify.defences.base import Defence, StepInputs
from protect.verify.defences.strong_augment import changed_captions


class Eda(Defence):
    """A tenth of every caption's tokens left out and a tenth swapped, drawn anew at each step (Wei and Zou 2019).

    Without the synonyms, which need a thesaurus.
    """

    def text(self, inputs: StepInputs) -> Features:
        return self.model.text(self.model.rows(changed_captions(inputs.captions)))
