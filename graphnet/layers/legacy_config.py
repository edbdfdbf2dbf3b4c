"""Configurations of Keras 1 and 2 under today's names.

Classes, arguments, and what no longer exists left out where it says nothing.
"""
import functools
import inspect
from collections.abc import Mapping
from typing import Any

from graphnet.errors import UnsupportedError

CLASSES = {
    "Convolution1D": "Conv1D",
    "Convolution2D": "Conv2D",
    "Convolution3D": "Conv3D",
    "Deconvolution2D": "Conv2DTranspose",
    "AtrousConvolution2D": "Conv2D",
    "AtrousConvolution1D": "Conv1D",
    "SeparableConvolution2D": "SeparableConv2D",
    "CuDNNLSTM": "LSTM",
    "CuDNNGRU": "GRU",
    "Container": "Functional",
    "Network": "Functional",
    "BatchNormalizationV1": "BatchNormalization",
    "BatchNormalizationV2": "BatchNormalization",
    "SyncBatchNormalization": "BatchNormalization",
}
ARGUMENTS = {  # old name -> today's, where the class does not take the old one
    "batch_input_shape": "batch_shape",
    "output_dim": "units",
    "nb_filter": "filters",
    "subsample": "strides",
    "subsample_length": "strides",
    "stride": "strides",
    "border_mode": "padding",
    "filter_length": "kernel_size",
    "pool_length": "pool_size",
    "length": "size",
    "atrous_rate": "dilation_rate",
    "p": "rate",
    "sigma": "stddev",
    "bias": "use_bias",
    "init": "kernel_initializer",
    "inner_init": "recurrent_initializer",
    "inner_activation": "recurrent_activation",
    "W_regularizer": "kernel_regularizer",
    "U_regularizer": "recurrent_regularizer",
    "b_regularizer": "bias_regularizer",
    "W_constraint": "kernel_constraint",
    "U_constraint": "recurrent_constraint",
    "b_constraint": "bias_constraint",
    "dropout_W": "dropout",
    "dropout_U": "recurrent_dropout",
    "gamma_init": "gamma_initializer",
    "beta_init": "beta_initializer",
    "dim_ordering": "data_format",
    "input_dtype": "dtype",
}
VALUES = {
    "th": "channels_first",
    "tf": "channels_last",
    "zero": "zeros",
    "one": "ones",
    "normal": "random_normal",
    "uniform": "random_uniform",
}
VALUED = (
    "data_format",
    "kernel_initializer",
    "recurrent_initializer",
    "gamma_initializer",
    "beta_initializer",
    "embeddings_initializer",
)
SILENT = (
    "implementation",
    "consume_less",
    "input_length",
    "input_dim",
    "forget_bias_init",
    "fused",
    "sync",
    "return_dict",
    "shared_object_id",
    "cudnn",
)


def modern_class(name: str) -> str:
    """Today's name of a class."""
    return CLASSES.get(name, name)


@functools.cache
def accepted(kind: type) -> frozenset[str]:
    """The names of all arguments that a layer's constructor takes, those that it hands on included."""
    names: set[str] = set()
    for base in kind.__mro__:
        if "__init__" in base.__dict__:
            parameters = inspect.signature(base.__init__).parameters  # type: ignore[misc]
            names |= set(parameters)
            if not any(p.kind is p.VAR_KEYWORD for p in parameters.values()):
                break
    return frozenset(names | {"batch_shape", "input_shape"}) - {"self", "args", "kwargs"}


def modern(name: str, kind: type, config: Mapping[str, Any], place: str) -> dict[str, Any]:
    """A built-in layer's configuration as its class takes it.

    Raises UnsupportedError for an argument that changes what it computes and is no more.
    """
    known, out = accepted(kind), dict(config)
    for old, new in ARGUMENTS.items():
        if old in out and old not in known and new in known and new not in out:
            out[new] = out.pop(old)
    out = _kernel_size(out, known)
    for key in VALUED:
        if isinstance(out.get(key), str):
            out[key] = VALUES.get(out[key], out[key])
    for key, value in out.items():
        if isinstance(value, Mapping):
            out[key] = _object(value)
    if name.startswith("CuDNN"):
        out |= {"recurrent_activation": "sigmoid"} | ({"reset_after": True} if name == "CuDNNGRU" else {})
    if "axis" in out and kind.__name__ == "BatchNormalization" and isinstance(out["axis"], list):
        out["axis"], = out["axis"]
    for key in [k for k in out if k not in known]:
        value = out.pop(key)
        if value and key not in SILENT:
            raise UnsupportedError(f"Layer {place!r} ({kind.__name__}) was saved with {key}={value!r}, which graphnet does not "
                                   "know. Rebuild the model without it.")
    return out


def _kernel_size(config: dict[str, Any], known: frozenset[str]) -> dict[str, Any]:
    for names in (("nb_row", "nb_col"), ("kernel_dim1", "kernel_dim2", "kernel_dim3")):
        if names[0] in config and "kernel_size" in known:
            config["kernel_size"] = tuple(config.pop(n) for n in names)
    return config


def _object(value: Mapping[str, Any]) -> Any:
    """An initializer or regularizer: TensorFlow's had a dtype, those of Keras 1 had their arguments beside their name."""
    if value.get("name") in ("WeightRegularizer", "ActivityRegularizer"):
        return {"class_name": "L1L2", "config": {k: float(value.get(k) or 0.0) for k in ("l1", "l2")}}
    inner = value.get("config")
    if isinstance(inner, Mapping) and value.get("class_name") == "VarianceScaling" and inner.get("distribution") == "normal":
        inner = {**inner, "distribution": "truncated_normal"}
    if isinstance(inner, Mapping) and "dtype" in inner and "units" not in inner and "name" not in inner:
        inner = {k: v for k, v in inner.items() if k != "dtype"}
    return {**value, "config": inner} if "config" in value else value
