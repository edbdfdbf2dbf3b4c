"""graphnet: models in Keras's functional style as checked graphs, run as one plan of numba kernels."""
import importlib
from typing import TYPE_CHECKING, Any

from graphnet import activations as activations
from graphnet import callbacks as callbacks
from graphnet import config as config
from graphnet import constraints as constraints
from graphnet import initializers as initializers
from graphnet import layers as layers
from graphnet import losses as losses
from graphnet import metrics as metrics
from graphnet import models as models
from graphnet import ops as ops
from graphnet import optimizers as optimizers
from graphnet import profiler as profiler
from graphnet import random as random
from graphnet import regularizers as regularizers
from graphnet import saved_model as saved_model
from graphnet import saving as saving
from graphnet import summary as summary
from graphnet import train as train
from graphnet import tree as tree
from graphnet.backends.cpu.cache import kernel_stats as kernel_stats
from graphnet.functions import TensorSpec as TensorSpec
from graphnet.functions import function as function
from graphnet.graph import Tensor as KerasTensor
from graphnet.graph import Variable as Variable
from graphnet.initializers import Initializer as Initializer
from graphnet.layers import Input as Input
from graphnet.layers import InputSpec as InputSpec
from graphnet.layers import Layer as Layer
from graphnet.losses import Loss as Loss
from graphnet.metrics import Metric as Metric
from graphnet.models import Functional as Functional
from graphnet.models import Model as Model
from graphnet.models import Sequential as Sequential
from graphnet.module import Module as Module
from graphnet.module import name_scope as name_scope
from graphnet.optimizers import Optimizer as Optimizer
from graphnet.regularizers import Regularizer as Regularizer
from graphnet.settings import settings as settings
from graphnet.training.grad import grad as grad
from graphnet.training.grad import value_and_grad as value_and_grad

if TYPE_CHECKING:
    from graphnet import applications as applications
    from graphnet import datasets as datasets
    from graphnet import utils as utils

__version__ = "0.1.0"
__all__ = [
    "Functional", "Initializer", "Input", "InputSpec", "KerasTensor", "Layer", "Loss", "Metric", "Model", "Module", "Optimizer",
    "Regularizer", "Sequential", "TensorSpec", "Variable", "activations", "applications", "callbacks", "config", "constraints",
    "datasets", "function", "grad", "initializers", "kernel_stats", "layers", "losses", "metrics", "models", "name_scope",
    "ops",
    "optimizers", "profiler", "random", "regularizers", "saved_model", "saving", "settings", "summary", "train", "tree",
    "utils",
    "value_and_grad",
]
LATE = frozenset({"applications", "datasets", "utils"})  # imported when they are asked for: no other room needs them


def __getattr__(name: str) -> Any:
    if name in LATE:
        return importlib.import_module(f"graphnet.{name}")
    raise AttributeError(f"module 'graphnet' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *LATE})
