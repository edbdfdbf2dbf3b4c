"""Checkpoints: the values of a tree of objects in files. `docs/checkpoints.md` says what is in the files.

Source: https://www.tensorflow.org/guide/checkpoint
"""
from graphnet.train.checkpoint import Checkpoint
from graphnet.train.inspection import latest_checkpoint, list_variables, load_variable
from graphnet.train.manager import CheckpointManager
from graphnet.train.parts import PythonState

__all__ = [
    "Checkpoint", "CheckpointManager", "PythonState", "latest_checkpoint", "list_variables", "load_variable",
]
