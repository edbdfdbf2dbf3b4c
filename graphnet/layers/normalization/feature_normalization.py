"""Normalization: features to mean 0 and variance 1, by statistics of a data set."""
from collections.abc import Iterable
from typing import Any

import numpy as np

from graphnet import config
from graphnet.errors import ShapeError
from graphnet.layers.layer import Layer
from graphnet.ops.convert import cast
from graphnet.ops.elementwise import add, divide, maximum, multiply, sqrt, subtract
from graphnet.ops.shape import reshape
from graphnet.registry import builtin


@builtin("layers")
class Normalization(Layer):
    """``(x - mean) / sqrt(variance)``, with a mean and a variance for each index along ``axis``, given or learned by `adapt`.

    Arguments: ``axis`` (those that keep statistics of their own; None: one mean and variance for all), ``mean`` and
    ``variance`` (both or neither), ``invert`` (computes ``mean + x * sqrt(variance)`` instead). Shapes: as the input; weights
    mean, variance (extents of axis) and count, unless mean and variance are given. Raises ValueError where only one is given,
    or there is no such axis.
    Source: https://keras.io/api/layers/preprocessing_layers/numerical/normalization/

    Example:

        >>> import numpy as np, graphnet
        >>> layer = graphnet.layers.Normalization()
        >>> layer.adapt(np.array([[1.0, 10.0], [3.0, 30.0]], "float32"))
        >>> layer(np.array([[3.0, 30.0]], "float32"))
        array([[1., 1.]], dtype=float32)
    """

    supports_masking = True

    def __init__(self, axis: Any = -1, mean: Any = None, variance: Any = None, invert: bool = False, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.axis = () if axis is None else (axis,) if isinstance(axis, int) else tuple(axis)
        if np.shape(mean) != np.shape(variance) or (mean is None) != (variance is None):
            raise ValueError(f"{self._who} expects mean and variance of one shape, or neither; received mean={mean!r} and "
                             f"variance={variance!r}.")
        if np.ndim(mean) > len(self.axis):
            raise ValueError(f"{self._who} expects a mean of at most {len(self.axis)} axes, as axis={self.axis} has; received "
                             f"shape {np.shape(mean)}.")
        self.input_mean, self.input_variance, self.invert = mean, variance, invert
        self.adapt_mean: Any = None
        self.adapt_variance: Any = None
        self.count: Any = None
        self._untracked_statistics_shape: tuple[int, ...] = ()  # with extent 1 on all axes but self.axis

    @property
    def _who(self) -> str:
        return f"Layer {self.name!r} (Normalization)"

    def _kept(self, ndim: int) -> list[int]:
        if any(not -ndim <= a < ndim for a in self.axis):
            raise ShapeError(f"{self._who} expects axes between {-ndim} and {ndim - 1} for an input with ndim={ndim}; received "
                             f"axis={self.axis}.")
        return sorted(a % ndim for a in self.axis)

    def build(self, input_shape: Any) -> None:
        kept = self._kept(len(input_shape))
        extents = tuple([input_shape[a] for a in kept])
        if None in extents:
            raise ShapeError(f"{self._who} expects known extents on axis={self.axis}; received shape {tuple(input_shape)}. "
                             "Give them in Input(shape=...).")
        self._untracked_statistics_shape = tuple([s if i in kept else 1 for i, s in enumerate(input_shape)])
        if self.input_mean is None:
            self.adapt_mean = self.add_weight(extents, "zeros", trainable=False, name="mean")
            self.adapt_variance = self.add_weight(extents, "ones", trainable=False, name="variance")
            self.count = self.add_weight((), "zeros", dtype="int32", trainable=False, name="count")

    def _statistics(self, given: Any, learned: Any) -> Any:
        target = self._untracked_statistics_shape
        if learned is not None:
            return reshape(learned, target)
        value = np.asarray(given, self.dtype)
        kept = self._kept(len(target))
        extents = [1] * len(target)
        for axis, extent in zip(kept[len(kept) - value.ndim:], value.shape, strict=True):
            extents[axis] = extent
        return np.broadcast_to(value.reshape(extents), target)

    @property
    def mean(self) -> Any:
        """The mean in use, with the input's ndim; None before the layer is built."""
        return np.asarray(self._statistics(self.input_mean, self.adapt_mean)) if self.built else None

    @property
    def variance(self) -> Any:
        """The variance in use, with the input's ndim; None before the layer is built."""
        return np.asarray(self._statistics(self.input_variance, self.adapt_variance)) if self.built else None

    def adapt(self, data: Any) -> None:
        """Learns mean and variance from an array, or from an iterable of batches (tuples count with their first element)."""
        if self.input_mean is not None:
            raise ValueError(f"{self._who} was given its mean and variance, so there is nothing to adapt. Leave them out to "
                             "learn them.")
        if not hasattr(data, "shape") and not isinstance(data, Iterable):
            raise TypeError(f"{self._who}: adapt expects an array or an iterable of batches; received {type(data).__name__}.")
        mean: Any = 0.0
        spread: Any = 0.0
        count = 0
        for batch in [data] if hasattr(data, "shape") else data:
            array = np.asarray(batch[0] if isinstance(batch, tuple) else batch)
            if not self.built:
                self.build(array.shape)
            kept = self._kept(array.ndim)
            if tuple([array.shape[a] for a in kept]) != self.adapt_mean.shape:
                raise ShapeError(f"{self._who} was built with extents {self.adapt_mean.shape} on axis={self.axis}; adapt "
                                 f"received shape {array.shape}.")
            axes = tuple(a for a in range(array.ndim) if a not in kept)
            size = int(np.prod([array.shape[a] for a in axes], dtype=np.int64))
            share = size / max(count + size, 1)
            step = array.mean(axes, dtype="float64") - mean
            mean = mean + step * share
            spread = (spread + step**2 * share) * (1 - share) + array.var(axes, dtype="float64") * share
            count += size
        if not count:
            raise ValueError(f"{self._who}: adapt expects at least one batch with elements; received none.")
        self.adapt_mean.assign(np.asarray(mean, self.dtype))
        self.adapt_variance.assign(np.asarray(spread, self.dtype))

    def call(self, inputs: Any) -> Any:
        x = cast(inputs, self.dtype)
        mean = self._statistics(self.input_mean, self.adapt_mean)
        deviation = maximum(sqrt(self._statistics(self.input_variance, self.adapt_variance)), config.epsilon())
        return add(mean, multiply(x, deviation)) if self.invert else divide(subtract(x, mean), deviation)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "axis": self.axis, "invert": self.invert, "mean": np.array(self.input_mean).tolist(),
                "variance": np.array(self.input_variance).tolist()}
