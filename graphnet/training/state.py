"""What training keeps beside a model: optimizer, losses, metrics, flags. No part of it is a weight of the model."""
from dataclasses import dataclass, field
from typing import Any


@dataclass
class TrainingState:
    """Set by `compile` and by the runs of `fit`; see `Trainer`."""

    optimizer: Any = None
    loss: Any = None  # as the user gave it
    compiled_loss: Any = None
    compiled_metrics: Any = None
    loss_tracker: Any = None
    compiled: bool = False
    run_eagerly: bool = False
    jit_compile: Any = "auto"
    steps_per_execution: int = 1
    stop_training: bool = False
    stop_evaluating: bool = False
    stop_predicting: bool = False
    history: Any = None
    config: dict[str, Any] = field(default_factory=dict)  # the arguments of compile
    initial_epoch: int | None = None  # set by a callback that restores a run
    initial_batch: int = 0
    others: dict[str, Any] = field(default_factory=dict)
