"""Ops between layers in files of TensorFlow's Keras.

TFOpLambda names a function, TensorFlowOpLayer holds a node of TensorFlow's own graph.
"""
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from graphnet import dtypes
from graphnet.errors import UnsupportedError
from graphnet.layers.op_nodes import RecordedCall

CLASSES = ("TFOpLambda", "SlicingOpLambda", "TensorFlowOpLayer")

_REDUCE = "axis keepdims"
# TensorFlow's function -> class of our op, and its further arguments, renamed where ours is called otherwise
FUNCTIONS = {
    name: rule.split()
    for name, rule in {
        "__operators__.add": "Add y=x2",
        "__operators__.radd": "Add y=x2",
        "__operators__.getitem": "GetItem slice_spec=key",
        "math.add": "Add y=x2",
        "math.subtract": "Subtract y=x2",
        "math.multiply": "Multiply y=x2",
        "math.truediv": "TrueDivide y=x2",
        "math.divide": "TrueDivide y=x2",
        "math.floordiv": "FloorDivide y=x2",
        "math.floormod": "Mod y=x2",
        "math.pow": "Power y=x2",
        "math.maximum": "Maximum y=x2",
        "math.minimum": "Minimum y=x2",
        "math.equal": "Equal y=x2",
        "math.not_equal": "NotEqual y=x2",
        "math.greater": "Greater y=x2",
        "math.greater_equal": "GreaterEqual y=x2",
        "math.less": "Less y=x2",
        "math.less_equal": "LessEqual y=x2",
        "math.logical_and": "LogicalAnd y=x2",
        "math.logical_or": "LogicalOr y=x2",
        "math.logical_not": "LogicalNot",
        "math.abs": "Absolute",
        "math.negative": "Negative",
        "math.exp": "Exp",
        "math.log": "Log",
        "math.log1p": "Log1p",
        "math.sqrt": "Sqrt",
        "math.rsqrt": "Rsqrt",
        "math.square": "Square",
        "math.sign": "Sign",
        "math.sin": "Sin",
        "math.cos": "Cos",
        "math.erf": "Erf",
        "math.floor": "Floor",
        "math.ceil": "Ceil",
        "math.round": "Round",
        "math.reciprocal": "Reciprocal",
        "math.tanh": "Tanh",
        "math.sigmoid": "Sigmoid",
        "math.softplus": "Softplus",
        "nn.relu": "Relu",
        "nn.relu6": "Relu6",
        "nn.elu": "Elu",
        "nn.selu": "Selu",
        "nn.gelu": "Gelu approximate",
        "nn.silu": "Silu",
        "nn.swish": "Silu",
        "nn.leaky_relu": "LeakyRelu alpha=negative_slope",
        "nn.softmax": "Softmax axis",
        "nn.log_softmax": "LogSoftmax axis",
        "nn.sigmoid": "Sigmoid",
        "nn.tanh": "Tanh",
        "nn.softplus": "Softplus",
        "math.softmax": "Softmax axis",
        "nn.l2_normalize": "Normalize axis epsilon",
        "math.l2_normalize": "Normalize axis epsilon",
        "math.reduce_sum": f"Sum {_REDUCE}",
        "math.reduce_mean": f"Mean {_REDUCE}",
        "math.reduce_max": f"Max {_REDUCE}",
        "math.reduce_min": f"Min {_REDUCE}",
        "math.reduce_prod": f"Prod {_REDUCE}",
        "math.reduce_any": f"Any {_REDUCE}",
        "math.reduce_all": f"All {_REDUCE}",
        "math.reduce_std": f"Std {_REDUCE}",
        "math.reduce_variance": f"Var {_REDUCE}",
        "math.reduce_logsumexp": f"Logsumexp {_REDUCE}",
        "math.argmax": "Argmax axis",
        "math.argmin": "Argmin axis",
        "math.cumsum": "Cumsum axis",
        "linalg.matmul": "Matmul b=x2",
        "concat": "Concatenate axis",
        "stack": "Stack axis",
        "unstack": "Unstack num axis",
        "reshape": "Reshape shape=newshape",
        "transpose": "Transpose perm=axes",
        "expand_dims": "ExpandDims axis",
        "squeeze": "Squeeze axis",
        "tile": "Tile multiples=repeats",
        "repeat": "Repeat repeats axis",
        "cast": "Cast dtype",
        "where": "Where x=x1 y=x2",
        "clip_by_value": "Clip clip_value_min=x_min clip_value_max=x_max",
        "broadcast_to": "BroadcastTo shape",
        "one_hot": "OneHot depth=num_classes axis",
        "gather": "Take indices axis",
        "zeros_like": "ZerosLike",
        "ones_like": "OnesLike",
        "identity": "StopGradient",
        "stop_gradient": "StopGradient",
        "pad": "Pad paddings=pad_width constant_values",
        "image.resize": "Resize size method=interpolation",
    }.items()
}
IGNORED = ("name", "message", "validate_shape")

# an op of TensorFlow's graph -> class of our op, and what its operands behind the first are; "*" takes all as one list
NODES = {
    name: rule.split()
    for name, rule in {
        **{
            f"{name}": f"{ours} x2"
            for name, ours in {
                "Add": "Add",
                "AddV2": "Add",
                "Sub": "Subtract",
                "Mul": "Multiply",
                "RealDiv": "TrueDivide",
                "Div": "TrueDivide",
                "FloorDiv": "FloorDivide",
                "FloorMod": "Mod",
                "Pow": "Power",
                "Maximum": "Maximum",
                "Minimum": "Minimum",
                "Equal": "Equal",
                "NotEqual": "NotEqual",
                "Greater": "Greater",
                "GreaterEqual": "GreaterEqual",
                "Less": "Less",
                "LessEqual": "LessEqual",
                "LogicalAnd": "LogicalAnd",
                "LogicalOr": "LogicalOr",
                "MatMul": "Matmul",
                "BatchMatMul": "Matmul",
                "BatchMatMulV2": "Matmul",
            }.items()
        },
        **{
            name: name
            for name in (
                "Exp",
                "Log",
                "Log1p",
                "Sqrt",
                "Rsqrt",
                "Square",
                "Sign",
                "Sin",
                "Cos",
                "Tanh",
                "Sigmoid",
                "Softplus",
                "Relu",
                "Relu6",
                "Elu",
                "Selu",
                "Softmax",
                "LogSoftmax",
                "LogicalNot",
                "Floor",
                "Ceil",
                "Round",
                "Erf",
                "ZerosLike",
                "OnesLike",
                "Reciprocal",
                "StopGradient",
            )
        },
        "Abs": "Absolute",
        "Neg": "Negative",
        "Identity": "StopGradient",
        "ConcatV2": "Concatenate * axis",
        "Pack": "Stack *",
        "Reshape": "Reshape newshape",
        "Transpose": "Transpose axes",
        "ExpandDims": "ExpandDims axis",
        "Squeeze": "Squeeze",
        "Mean": "Mean axis",
        "Sum": "Sum axis",
        "Max": "Max axis",
        "Min": "Min axis",
        "Prod": "Prod axis",
        "All": "All axis",
        "Any": "Any axis",
        "Cast": "Cast",
        "Tile": "Tile repeats",
        "Pad": "Pad pad_width",
        "SelectV2": "Where x1 x2",
        "ArgMax": "Argmax axis",
        "StridedSlice": "GetItem start stop step",
        "GatherV2": "Take indices axis",
    }.items()
}
TYPES: dict[str, str] = {
    "DT_FLOAT": "float32",
    "DT_DOUBLE": "float64",
    "DT_HALF": "float16",
    "DT_INT32": "int32",
    "DT_INT64": "int64",
    "DT_BOOL": "bool",
    "DT_UINT8": "uint8",
}
# attributes of such a node that matter: to our argument, and how the value is read
ATTRIBUTES: dict[str, tuple[str, Callable[[Any], Any]]] = {
    "keep_dims": ("keepdims", lambda a: bool(a.get("b", False))),
    "squeeze_dims": ("axis", lambda a: [int(i) for i in a.get("list", {}).get("i", [])] or None),
    "axis": ("axis", lambda a: int(a.get("i", 0))),
    "DstT": ("dtype", lambda a: TYPES[a["type"]]),
}


class FunctionNode(RecordedCall):
    """A call of one of TensorFlow's functions, as the op of ours that computes the same."""

    def __init__(self, name: str, config: Mapping[str, Any], names: Sequence[str]) -> None:
        super().__init__(name, config)
        self.names = {n.split("=")[0]: n.split("=")[-1] for n in names}

    def merged(self, args: Sequence[Any], kwargs: Mapping[str, Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
        given = {k: v for k, v in kwargs.items() if v is not None and v is not False and k not in IGNORED}
        odd = [k for k in given if k not in self.names]
        if odd:
            raise UnsupportedError(
                f"Node {self.name!r} calls a TensorFlow function with {', '.join(f'{k}={given[k]!r}' for k in odd)}, which "
                "graphnet "
                "does not know there. Rebuild the model with graphnet.ops."
            )
        named = {self.names[k]: v for k, v in given.items()}
        if self.class_name == "GetItem":
            named["key"] = (
                tuple([_slice(part) for part in named["key"]])
                if isinstance(named["key"], (list, tuple))
                else _slice(named["key"])
            )
        if self.class_name == "Cast" and isinstance(named["dtype"], str):
            named["dtype"] = dtypes.standardize_dtype(named["dtype"])
        return super().merged(args, named)


def _slice(part: Any) -> Any:
    if isinstance(part, Mapping):
        return slice(part.get("start"), part.get("stop"), part.get("step"))
    return Ellipsis if part == "..." else part


class GraphNode(RecordedCall):
    """A node of TensorFlow's graph: operands in order, some of them constants that the file keeps by number."""

    def __init__(
        self,
        name: str,
        config: Mapping[str, Any],
        names: Sequence[str],
        constants: Mapping[int, Any],
        attributes: Mapping[str, Any],
    ) -> None:
        super().__init__(name, config)
        self.names, self.constants, self.attributes = list(names), constants, attributes

    def merged(self, args: Sequence[Any], kwargs: Mapping[str, Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
        operands = list(args[0]) if len(args) == 1 and isinstance(args[0], list) else list(args)
        for position in sorted(self.constants):
            operands.insert(position, self.constants[position])
        if self.names[:1] == ["*"]:
            last = len(self.names) - 1
            operands = [operands[:len(operands) - last], *operands[len(operands) - last:]]
        first, named = operands[0], dict(zip([n for n in self.names if n != "*"], operands[1:], strict=False))
        for key, (ours, read) in ATTRIBUTES.items():
            if key in self.attributes and ours not in named:
                named[ours] = read(self.attributes[key])
        if self.class_name == "GetItem":
            named = {"key": self._key(**named)}
        if any(self.attributes.get(k, {}).get("b") for k in ("transpose_a", "transpose_b", "adj_x", "adj_y")):
            raise UnsupportedError(
                f"Node {self.name!r} is a matrix product that transposes an operand. Rebuild the model with graphnet.ops."
            )
        return super().merged([first], named)

    def _key(self, start: Sequence[int], stop: Sequence[int], step: Sequence[int]) -> tuple[Any, ...]:
        """A strided slice's masks: bit i of each says what position i is."""
        begin, end, ellipsis, new, shrink = (int(self.attributes.get(f"{k}_mask", {}).get("i", 0))
                                            for k in ("begin", "end", "ellipsis", "new_axis", "shrink_axis"))
        parts: list[Any] = []
        for i, (a, b, c) in enumerate(zip(start, stop, step, strict=True)):
            bit = 1 << i
            parts.append(Ellipsis if ellipsis & bit else None if new & bit else a if shrink & bit
                         else slice(None if begin & bit else a, None if end & bit else b, c))
        return tuple(parts)


def from_config(config: Mapping[str, Any], place: str) -> RecordedCall:
    """The op that such a node means; UnsupportedError names the function that there is none of."""
    name = {"name": config["name"]} if config.get("name") else {}
    if "function" in config:
        function = str(config["function"])
        rule = FUNCTIONS.get(function.removeprefix("compat.v1."))
        if rule is not None:
            return FunctionNode(rule[0], name, rule[1:])
        raise UnsupportedError(
            f"Node {place!r} calls TensorFlow's function tf.{function}, which graphnet does not know. Rebuild the model with "
            "graphnet.ops."
        )
    node = config.get("node_def") or {}
    op = node.get("op") if isinstance(node, Mapping) else None
    rule = NODES.get(str(op))
    if rule is None:
        raise UnsupportedError(
            f"Node {place!r} is TensorFlow's op {op or node!r}, which graphnet does not know. Rebuild the model with "
            "graphnet.ops."
        )
    constants = {int(k): v for k, v in (config.get("constants") or {}).items()}
    return GraphNode(rule[0], name, rule[1:], constants, node.get("attr") or {})
