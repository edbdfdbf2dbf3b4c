"""What values the fields of an op may have for the inputs that it gets: kernels trust their ops, so files must not lie about them."""
from typing import Any

from graphnet import dtypes
from graphnet.graph import Spec
from graphnet.op import Op
from graphnet.saved_model.values import LARGEST, require

WORDS = {
    "dtype": dtypes.ALL, "padding": ("same", "valid", "causal"),
    "interpolation": ("nearest", "bilinear", "bicubic", "lanczos3", "lanczos5"), "side": ("left", "right"),
}
LEAST = {"strides": 1, "dilation": 1, "size": 1, "groups": 1, "repeats": 0, "widths": 0, "num_classes": 0, "k": 0, "spatial": 0,
         "shape": -1, "target": 0, "extent": 0, "extents": 0, "carries": 0, "sliced": 0, "count": 0,
         "order": 0, "limit": 0, "output_padding": 0, "padding": -2**31}


def check_ranges(op: Op, specs: tuple[Spec, ...]) -> None:
    """Raises Malformed where a field's value is out of range for these inputs."""
    name, rank = type(op).__name__, len(specs[0].shape) if specs else 0
    for key, value in vars(op).items():
        if isinstance(value, str):
            require(value in WORDS.get(key, (value,)), f"field {key!r} of op {name} has no value {value[:40]!r}")
        elif key in LEAST:
            for number in _numbers(value):
                require(LEAST[key] <= number < LARGEST, f"field {key!r} of op {name} expects numbers from {LEAST[key]} on; received {number}")
        elif key == "axes":
            require(len(set(value)) == len(value) and all(0 <= a < rank for a in value),
                    f"field 'axes' of op {name} expects different axes below {rank}; received {value[:8]}")
        elif key == "axis":
            require(-rank - 1 <= value <= rank, f"field 'axis' of op {name} expects an axis of {rank}; received {value}")
    if name == "Transpose":
        require(len(op.axes) == rank, f"op Transpose expects {rank} axes; received {len(op.axes)}")  # type: ignore[attr-defined]
    elif name == "Slice":
        require(0 not in op.steps, "op Slice expects steps other than 0")  # type: ignore[attr-defined]


def _numbers(value: Any) -> list[int]:
    """The known whole numbers in a field; those that data decide are seen when the plan is made."""
    if isinstance(value, tuple):
        return [number for item in value for number in _numbers(item)]
    return [value] if type(value) is int else []
