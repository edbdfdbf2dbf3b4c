"""Model, Sequential and what loads, clones and cuts models."""
from graphnet.models import loaded as loaded
from graphnet.models.cloning import clone_model as clone_model
from graphnet.models.functional import Functional as Functional
from graphnet.models.model import Model as Model
from graphnet.models.sequential import Sequential as Sequential
from graphnet.saving.reader import load_model as load_model
from graphnet.saving.reader import model_from_json as model_from_json
from graphnet.saving.writer import save_model as save_model

__all__ = [
    "Functional", "Model", "Sequential", "clone_model", "load_model", "model_from_json", "save_model",
]
