"""Saved models: objects as their graphs and variables, in a directory that runs without their code. `docs/saved_model.md` has the format."""
from graphnet.saved_model.functions import LoadedFunction as LoadedFunction
from graphnet.saved_model.reader import load as load
from graphnet.saved_model.show import show as show
from graphnet.saved_model.writer import save as save

__all__ = ["load", "save", "show"]
