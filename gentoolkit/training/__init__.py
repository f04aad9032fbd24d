"""The training loop, optimizers, averaged weights and checkpoints."""

from gentoolkit.training.checkpoints import (
    Checkpoint,
    is_checkpoint,
    list_checkpoints,
    load_checkpoint,
    newest_checkpoint,
)
from gentoolkit.training.loop import Listener, train
from gentoolkit.training.pairs import Pairs, coupled, drawn
from gentoolkit.training.plan import Plan
from gentoolkit.training.promises import check_batch, check_record, expect
from gentoolkit.training.state import TrainingState, load_weights

__all__ = [
    "Checkpoint",
    "Listener",
    "Pairs",
    "Plan",
    "TrainingState",
    "check_batch",
    "check_record",
    "coupled",
    "drawn",
    "expect",
    "is_checkpoint",
    "list_checkpoints",
    "load_checkpoint",
    "load_weights",
    "newest_checkpoint",
    "train",
]
