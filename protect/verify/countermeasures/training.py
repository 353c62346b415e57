"""Countermeasures that are ways of training; their code is in `protect.verify.defences`."""

from protect.verify.countermeasures.base import Countermeasure, Kind, Regime

DEFENCES = {
    "ueraser": (
        "UEraser: of five strong augmentations of a picture, the one with the largest loss is learned",
        "learns from the hardest of several crops",
    ),
    "ueraser-light": (
        "UEraser's light form: one strong augmentation, without the search",
        "augments as UEraser does",
    ),
    "adversarial": (
        "pictures moved within a small epsilon to raise the loss, before each step",
        "trains against adversarial noise",
    ),
    "staged": (
        "layers stop learning one after the other, from the first, which fit noise soonest",
        "freezes layer after layer",
    ),
    "safeclip": ("SafeCLIP: each tower warms up alone, then only pairs that agree are contrasted", "uses SafeCLIP"),
    "cleanclip": ("CleanCLIP: each tower also contrasts its input with an augmented version of it", "uses CleanCLIP"),
    "eda": ("EDA: some of every caption's tokens dropped and swapped, anew at each step", "varies the captions"),
}
PRETRAINED = {
    "frozen-tower": (
        "the pretrained image tower stays as it is, only the text tower learns",
        "keeps a pretrained image tower",
    ),
    "lora": ("only low-rank changes of pretrained weights are learned", "tunes pretrained weights by LoRA"),
}
LONGER = 4
ROWS = (
    *(
        Countermeasure(name, Kind.TRAINING, *words, regime=Regime(defence=name), slow=True)
        for name, words in DEFENCES.items()
    ),
    *(
        Countermeasure(name, Kind.TRAINING, *words, regime=Regime(defence=name), setting="pretrained", slow=True)
        for name, words in PRETRAINED.items()
    ),
    Countermeasure(
        "longer",
        Kind.TRAINING,
        f"{LONGER} times as many epochs",
        f"trains {LONGER} times as long",
        regime=Regime(times=LONGER),
        slow=True,
    ),
)
