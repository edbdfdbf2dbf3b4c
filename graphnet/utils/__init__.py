"""Helpers that users know from Keras."""
from graphnet.op import NAMES
from graphnet.registry import CustomObjectScope as CustomObjectScope
from graphnet.registry import custom_object_scope as custom_object_scope
from graphnet.registry import get_custom_objects as get_custom_objects
from graphnet.registry import get_registered_name as get_registered_name
from graphnet.registry import get_registered_object as get_registered_object
from graphnet.registry import register_keras_serializable as register_keras_serializable
from graphnet.utils.plotting import model_to_dot as model_to_dot
from graphnet.utils.plotting import plot_model as plot_model


def clear_session() -> None:
    """Begins automatic names anew: the next Dense is called "dense"."""
    NAMES.reset()
