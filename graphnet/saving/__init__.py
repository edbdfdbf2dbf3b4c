"""Keras's files, read and written: `.keras`, `.weights.h5` and the HDF5 files of every era. Nothing in a file is executed."""
from graphnet.layers.serialization import deserialize_keras_object as deserialize_keras_object
from graphnet.layers.serialization import serialize_keras_object as serialize_keras_object
from graphnet.registry import CustomObjectScope as CustomObjectScope
from graphnet.registry import custom_object_scope as custom_object_scope
from graphnet.registry import get_custom_objects as get_custom_objects
from graphnet.registry import get_registered_name as get_registered_name
from graphnet.registry import get_registered_object as get_registered_object
from graphnet.registry import register_keras_serializable as register_keras_serializable
from graphnet.saving.reader import load_model as load_model
from graphnet.saving.reader import load_weights as load_weights
from graphnet.saving.writer import save_model as save_model
from graphnet.saving.writer import save_weights as save_weights

__all__ = [
    "CustomObjectScope", "custom_object_scope", "deserialize_keras_object", "get_custom_objects", "get_registered_name", "get_registered_object", "load_model",
    "load_weights", "register_keras_serializable", "save_model", "save_weights", "serialize_keras_object",
]
