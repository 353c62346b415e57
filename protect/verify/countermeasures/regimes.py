"""Rows that differ from the others only in batch size or resolution."""

from protect.verify.countermeasures.base import Countermeasure, Kind, Regime

BATCHES = (512, 1024)
HALF, DOUBLE = 0.5, 2.0

ROWS = (
    *(
        Countermeasure(
            f"large-batch-{batch}",
            Kind.TRAINING,
            f"batches of {batch:,} pairs, as many pairs seen, the learning rate grown with the root of the batch",
            f"trains in batches of {batch:,} pairs",
            regime=Regime(batch=batch),
            strong=True,
            slow=True,
        )
        for batch in BATCHES
    ),
    Countermeasure(
        "half-resolution",
        Kind.TRAINING,
        "training and test at half the size of the other rows",
        "trains at half the resolution",
        regime=Regime(resolution=HALF),
    ),
    Countermeasure(
        "double-resolution",
        Kind.TRAINING,
        "training and test at twice the size of the other rows",
        "trains at twice the resolution",
        regime=Regime(resolution=DOUBLE),
    ),
)
