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
from graphnet.training.batch import pack_x_y_sample_weight as pack_x_y_sample_weight
from graphnet.training.batch import unpack_x_y_sample_weight as unpack_x_y_sample_weight
from graphnet.training.data import PyDataset as PyDataset
from graphnet.utils.directory import image_dataset_from_directory as image_dataset_from_directory
from graphnet.utils.directory import text_dataset_from_directory as text_dataset_from_directory
from graphnet.utils.files import get_file as get_file
from graphnet.utils.images import array_to_img as array_to_img
from graphnet.utils.images import img_to_array as img_to_array
from graphnet.utils.images import load_img as load_img
from graphnet.utils.images import save_img as save_img
from graphnet.utils.numerical import normalize as normalize
from graphnet.utils.numerical import pad_sequences as pad_sequences
from graphnet.utils.numerical import split_dataset as split_dataset
from graphnet.utils.numerical import to_categorical as to_categorical
from graphnet.utils.plotting import model_to_dot as model_to_dot
from graphnet.utils.plotting import plot_model as plot_model
from graphnet.utils.timeseries import timeseries_dataset_from_array as timeseries_dataset_from_array
from graphnet.visualization.progress import Progbar as Progbar
from graphnet.visualization.progress import disable_interactive_logging as disable_interactive_logging
from graphnet.visualization.progress import enable_interactive_logging as enable_interactive_logging
from graphnet.visualization.progress import is_interactive_logging_enabled as is_interactive_logging_enabled

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
    "CustomObjectScope", "Progbar", "PyDataset", "Sequence", "array_to_img", "clear_session", "custom_object_scope",
    "disable_interactive_logging", "enable_interactive_logging", "get_custom_objects", "get_file", "get_registered_name",
    "get_registered_object", "image_dataset_from_directory", "img_to_array", "is_interactive_logging_enabled", "load_img",
    "model_to_dot", "normalize", "pack_x_y_sample_weight", "pad_sequences", "plot_model", "register_keras_serializable",
    "save_img", "set_random_seed", "split_dataset", "text_dataset_from_directory", "timeseries_dataset_from_array",
    "to_categorical", "unpack_x_y_sample_weight",
]
