"""Calls of ops between layers as plain data, and back.

In Keras's files some arguments stand with the op, the others with its call.
"""
import inspect
from collections.abc import Mapping, Sequence
from typing import Any

from graphnet import registry, tree
from graphnet.errors import FileFormatError, UnsupportedError
from graphnet.graph import Tensor
from graphnet.op import CLASS_NAMES, NAMES, FunctionCall

# Keras 3's module of each op's class; the others are in "numpy"
MODULES = {
    name: module
    for module, names in {
        "core": "AssociativeScan Cast Cond ConvertToTensor ForiLoop Map SaturateCast Scan Scatter ScatterUpdate Slice "
                "SliceUpdate StopGradient Switch Unstack "
        "VectorizedMap WhileLoop",
        "image": "AffineTransform CropImages ExtractPatches GaussianBlur HSVToRGB MapCoordinates PadImages RGBToGrayscale "
                 "RGBToHSV Resize",
        "linalg": "Cholesky CholeskyInverse Det Eig Eigh Inv Lstsq LuFactor Norm Pinv Qr SVD Solve SolveTriangular",
        "math": "CDist Erf Erfc Erfinv InTopK Logdet Logsumexp Rsqrt SegmentMax SegmentMin SegmentProd SegmentSum TopK",
        "nn": "AveragePool BatchNorm BinaryCrossentropy CategoricalCrossentropy Celu Conv ConvTranspose DepthToSpace "
              "DepthwiseConv DotProductAttention Elu Gelu "
        "Glu HardShrink HardSigmoid HardSilu HardTanh LayerNorm LeakyRelu LogSigmoid LogSoftmax MaxPool Moments MultiHot "
        "Normalize OneHot PSNR RMSNorm "
        "Relu Relu6 Selu SeparableConv Sigmoid Silu SoftShrink Softmax Softplus Softsign SpaceToDepth "
        "SparseCategoricalCrossentropy SparsePlus "
        "SparseSigmoid Sparsemax Squareplus TanhShrink Threshold",
    }.items()
    for name in names.split()
}
# arguments that Keras hands to the op's call although they may be plain data; others that hold no tensor are the op's own
OPERANDS = frozenset(
    "x x1 x2 y key condition condlist choicelist default indices updates start_indices inputs xs values constant_values q "
    "start stop "
    "sorted_sequence segment_ids rtol atol operands arrays".split()
)

# arguments that say how many nodes an op makes; how many a file may ask for
COUNTS, MANY = ("indices_or_sections", "num", "n"), 1 << 16


def is_op(name: str, module: str) -> bool:
    """Whether a configuration is that of an op, by its module."""
    return (".ops." in module or ".activations." in module or module == "keras.ops") and name in CLASS_NAMES


def is_op_without_module(item: Mapping[str, Any]) -> bool:
    """The same in Keras 3's HDF5 files, which do not say the module.

    An op's calls are dicts, and a layer of the same name (Add) has more in it.
    """
    name, config, calls = item.get("class_name"), item["config"], item.get("inbound_nodes")
    modern = isinstance(calls, list) and bool(calls) and isinstance(calls[0], Mapping) and "args" in calls[0]
    known = registry.find_builtin("layers", str(name)) is not None
    return (
        modern
        and not item.get("module")
        and name in CLASS_NAMES
        and "trainable" not in config
        and not (known and "dtype" in config)
    )


class RecordedCall(FunctionCall):
    """An op from a file, with those of its arguments that the file keeps with the op."""

    def __init__(self, name: str, config: Mapping[str, Any]) -> None:
        function = CLASS_NAMES[name]
        prefix = function.prefix  # type: ignore[attr-defined]
        super().__init__(function, prefix, config.get("name") or NAMES.unique(prefix))
        self.settings = {k: v for k, v in config.items() if k != "name"}

    def merged(self, args: Sequence[Any], kwargs: Mapping[str, Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """All arguments of the call, those kept with the op in their places."""
        parameters = inspect.signature(self.function).parameters
        given = {**self.settings, **kwargs}
        for odd in [k for k in given if k not in parameters]:
            value = given.pop(odd)
            if value is not None and value is not False:
                raise UnsupportedError(
                    f"Node {self.name!r} is the op {self.class_name!r} with {odd}={value!r}, which graphnet does not know. "
                    "Rebuild the model without it."
                )
        rest, gap = list(args), False
        positional: list[Any] = []
        named: dict[str, Any] = {}
        for name, parameter in parameters.items():
            if parameter.kind is parameter.VAR_POSITIONAL:
                positional, rest = positional + rest, []
            elif name not in given and rest and not gap and parameter.kind is not parameter.KEYWORD_ONLY:
                positional.append(rest.pop(0))
            elif name in given and not gap and parameter.kind is not parameter.KEYWORD_ONLY:
                positional.append(given[name])
            elif name in given:
                named[name] = given[name]
            else:
                gap = True
        if rest:
            raise FileFormatError(f"Node {self.name!r} ({self.class_name}) has {len(args)} operands; it takes fewer.")
        if self.class_name == "GetItem" and isinstance(positional[1], list):
            positional[1] = tuple(positional[1])
        self._check_counts({**dict(zip(parameters, positional, strict=False)), **named})
        return tuple(positional), named

    def _check_counts(self, given: Mapping[str, Any]) -> None:
        """What an op does so many times over is as many nodes: a file could ask for any number of them."""
        counts = {name: given[name] for name in COUNTS if type(given.get(name)) is int}
        if self.class_name == "Unstack":
            counts["axis"] = max([extent for extent in given["x"].shape if isinstance(extent, int)], default=0)
        for name, count in counts.items():
            if count > MANY:
                raise FileFormatError(f"Node {self.name!r} ({self.class_name}) asks for {count} parts or turns ({name}); files "
                                      f"may ask for {MANY}.")


def split(
    operation: FunctionCall, args: Sequence[Any], kwargs: Mapping[str, Any]
) -> tuple[dict[str, Any], tuple[list[Any], dict[str, Any]]]:
    """The arguments of an op's call as Keras keeps them: with the op, and with its call."""
    parameters = inspect.signature(operation.function).parameters
    bound = inspect.signature(operation.function).bind(*args, **kwargs).arguments
    own: dict[str, Any] = {}
    positional: list[Any] = []
    named: dict[str, Any] = {}
    for name, value in bound.items():
        if parameters[name].kind is inspect.Parameter.VAR_POSITIONAL:
            positional += value
        elif name not in OPERANDS and not any(type(leaf) is Tensor for leaf in tree.iterate(value)):
            own[name] = value
        elif parameters[name].default is inspect.Parameter.empty:
            positional.append(value)
        else:
            named[name] = value
    return own, (positional, named)


def op_config(operation: FunctionCall, own: Mapping[str, Any]) -> dict[str, Any]:
    """The configuration of an op, with Keras's keys."""
    name = operation.class_name
    return {
        "module": f"keras.src.ops.{MODULES.get(name, 'numpy')}",
        "class_name": name,
        "config": {"name": operation.name, **own},
        "registered_name": name,
    }
