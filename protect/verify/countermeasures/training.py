"""Countermeasures that are ways of training; their code is in `protect.verify.lessons`."""

from protect.verify.countermeasures.base import Countermeasure

LESSONS = {
    "ueraser": "UEraser: of five strong augmentations of a picture, the one with the largest loss is learned",
    "ueraser-light": "UEraser's light form: one strong augmentation, without the search",
    "adversarial": "pictures moved within a small epsilon to raise the loss, before each step",
    "staged": "layers stop learning one after the other, from the first, which take to noise soonest",
    "safeclip": "SafeCLIP: each tower warms up alone, then only pairs that agree are contrasted",
    "cleanclip": "CleanCLIP: each tower also contrasts its input with an augmented version of it",
}
WARM = {
    "frozen-tower": "the trained image tower is kept as it is, only the text tower learns",
    "lora": "low-rank changes of trained weights are all that learns",
}
LONGER = 4
ROWS = (
    *(Countermeasure(name, "training", text, lesson=name) for name, text in LESSONS.items()),
    *(Countermeasure(name, "training", text, lesson=name, needs="pretrained") for name, text in WARM.items()),
    Countermeasure("longer", "training", f"{LONGER} times as many epochs", times=LONGER),
)
