"""Helpers that users know from Keras."""
import random

import numpy as np

from graphnet.op import NAMES
from graphnet.random import set_global_seed
from graphnet.registry import CustomObjectScope as CustomObjectScope
from graphnet.registry import custom_object_scope as custom_object_scope
from graphnet.registry import get_custom_objects as get_custom_objects
from graphnet.registry import get_registered_name as get_registered_name
from graphnet.registry import get_registered_object as get_registered_object
from graphnet.registry import register_keras_serializable as register_keras_serializable
from graphnet.training.data import PyDataset as PyDataset
from graphnet.utils.files import get_file as get_file
from graphnet.utils.plotting import model_to_dot as model_to_dot
from graphnet.utils.plotting import plot_model as plot_model
from graphnet.visualization.progress import Progbar as Progbar

Sequence = PyDataset  # the name that it had in Keras 2


def set_random_seed(seed: int) -> None:
    """Seeds Python's and numpy's generators and graphnet's own: weights and draws that follow are the same in every run.

    Source: https://keras.io/api/utils/python_utils/#setrandomseed-function

    Example:

        >>> import graphnet
        >>> graphnet.utils.set_random_seed(3)
        >>> first = graphnet.random.normal((2,))
        >>> graphnet.utils.set_random_seed(3)
        >>> bool((graphnet.random.normal((2,)) == first).all())
        True
    """
    if not isinstance(seed, int) or isinstance(seed, bool) or not 0 <= seed < 2**32:
        raise ValueError(f"set_random_seed expects a whole number from 0 to 2**32 - 1; received {seed!r}.")
    set_global_seed(seed)
    random.seed(seed)
    np.random.seed(seed)


def clear_session() -> None:
    """Begins automatic names anew: the next Dense is called "dense".

    Example:

        >>> import graphnet
        >>> graphnet.utils.clear_session()
        >>> [graphnet.layers.Dense(1).name for _ in range(2)]
        ['dense', 'dense_1']
    """
    NAMES.reset()

__all__ = [
    "CustomObjectScope", "Progbar", "PyDataset", "Sequence", "clear_session", "custom_object_scope", "get_custom_objects", "get_file",
    "get_registered_name", "get_registered_object", "model_to_dot", "plot_model", "register_keras_serializable", "set_random_seed",
]
