"""Resizing of images: along each axis the output is a matrix, made once of the extents, times the input."""
import functools
import math
from collections.abc import Callable
from typing import Any

import numpy as np

from graphnet.errors import ShapeError, UnsupportedError
from graphnet.ops.convert import floating, shape, shown
from graphnet.ops.indexing import take
from graphnet.ops.linalg import matmul
from graphnet.ops.shape import moveaxis


def _cubic(x: np.ndarray) -> np.ndarray:
    """Keys's cubic with a = -1/2: https://doi.org/10.1109/TASSP.1981.1163711"""
    near = (1.5 * x - 2.5) * x * x + 1.0
    far = ((-0.5 * x + 2.5) * x - 4.0) * x + 2.0
    return np.where(x >= 2.0, 0.0, np.where(x >= 1.0, far, near))


def _lanczos(radius: float) -> Callable[[np.ndarray], np.ndarray]:
    return lambda x: np.where(x > radius, 0.0, np.sinc(x) * np.sinc(x / radius))


KERNELS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "bilinear": lambda x: np.maximum(0.0, 1.0 - x), "bicubic": _cubic, "lanczos3": _lanczos(3.0), "lanczos5": _lanczos(5.0)}
METHODS = ("nearest", *KERNELS)


@functools.lru_cache(64)
def weights(extent: int, target: int, method: str, antialias: bool) -> np.ndarray:
    """The (target, extent) matrix of an interpolation between pixels' centres; rows sum to 1."""
    step = extent / target
    centres = (np.arange(target) + 0.5) * step - 0.5
    distances = np.abs(centres[:, None] - np.arange(extent)[None, :]) / (max(step, 1.0) if antialias else 1.0)
    matrix = KERNELS[method](distances)
    total = matrix.sum(1, keepdims=True)
    matrix = np.where(np.abs(total) > 1000 * np.finfo("float32").eps, matrix / np.where(total == 0, 1, total), 0.0)
    inside = (centres >= -0.5) & (centres <= extent - 0.5)
    return np.asarray(np.where(inside[:, None], matrix, 0.0), "float32")


def resized(x: Any, size: tuple[int, int], method: str, antialias: bool = False, who: str = "resize", first: int = 1) -> Any:
    """Images (..., H, W, C), with H on axis `first`, at another size. Raises UnsupportedError where their extents are unknown."""
    if method not in METHODS:
        raise ValueError(f"{who} expects interpolation to be one of {', '.join(METHODS)}; received {method!r}.")
    if any(isinstance(s, int) and s <= 0 for s in size):
        raise ShapeError(f"{who} expects a size of positive numbers; received {size}.")
    for axis, target in zip((first, first + 1), size, strict=True):
        extent = shape(x)[axis]
        if not isinstance(extent, int):
            raise UnsupportedError(f"{who} expects a known height and width for interpolation={method!r}; received shape {shown(shape(x))}. "
                                   "Give them in Input(shape=...).")
        if extent == target:
            continue
        if method == "nearest":
            x = take(x, np.array([math.floor((i + 0.5) * extent / target) for i in range(target)], "int32"), axis)
        else:
            x = moveaxis(matmul(moveaxis(floating(x), axis, -1), weights(extent, target, method, antialias).T), -1, axis)
    return x
