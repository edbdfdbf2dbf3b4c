"""Initializers that draw numbers: the same at each call, unless their seed is a `SeedGenerator`."""
import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from graphnet import dtypes, random
from graphnet.errors import ShapeError
from graphnet.initializers.initializer import Initializer
from graphnet.registry import builtin

_TRUNCATED_STD = 0.87962566103423978  # standard deviation of a normal distribution cut at two of its own


class RandomInitializer(Initializer):
    """Base of initializers with a ``seed``."""

    def __init__(self, seed: Any = None) -> None:
        if isinstance(seed, dict):
            seed = random.SeedGenerator.from_config(seed.get("config", seed))
        if seed is not None and not isinstance(seed, (int, np.integer, random.SeedGenerator)):
            raise ValueError(f"{type(self).__name__} expects seed to be a whole number, a SeedGenerator or None; received "
                             f"seed={seed!r}.")
        self._init_seed = seed
        self.seed = random.make_default_seed() if seed is None else seed

    def draw(self) -> Any:
        """The seed of this call."""
        return self.seed.draw() if isinstance(self.seed, random.SeedGenerator) else self.seed

    def get_config(self) -> dict[str, Any]:
        seed: Any = self._init_seed
        if isinstance(seed, random.SeedGenerator):
            seed = {"module": "keras.random", "class_name": "SeedGenerator", "config": seed.get_config(),
                    "registered_name": None}
        return {"seed": seed}


@builtin("initializers", "random_normal", "normal")
class RandomNormal(RandomInitializer):
    """Normally distributed numbers.

    Example:

        >>> from graphnet import initializers
        >>> initializers.RandomNormal(stddev=0.01, seed=1)((2, 3)).shape
        (2, 3)
    """

    def __init__(self, mean: float = 0.0, stddev: float = 0.05, seed: Any = None) -> None:
        self.mean, self.stddev = mean, stddev
        super().__init__(seed)

    def __call__(self, shape: Sequence[int], dtype: Any = None) -> np.ndarray:
        return random.normal(tuple(shape), self.mean, self.stddev, dtype, self.draw())

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "mean": self.mean, "stddev": self.stddev}


@builtin("initializers", "truncated_normal")
class TruncatedNormal(RandomNormal):
    """Normally distributed numbers, none farther than two standard deviations from the mean.

    Example:

        >>> from graphnet import initializers
        >>> bool((abs(initializers.TruncatedNormal(stddev=0.5, seed=1)((100,))) <= 1).all())
        True
    """

    def __call__(self, shape: Sequence[int], dtype: Any = None) -> np.ndarray:
        return random.truncated_normal(tuple(shape), self.mean, self.stddev, dtype, self.draw())


@builtin("initializers", "random_uniform", "uniform")
class RandomUniform(RandomInitializer):
    """Evenly distributed numbers.

    Example:

        >>> from graphnet import initializers
        >>> bool((abs(initializers.RandomUniform(-0.5, 0.5, seed=1)((100,))) <= 0.5).all())
        True
    """

    def __init__(self, minval: float = -0.05, maxval: float = 0.05, seed: Any = None) -> None:
        self.minval, self.maxval = minval, maxval
        super().__init__(seed)

    def __call__(self, shape: Sequence[int], dtype: Any = None) -> np.ndarray:
        return random.uniform(tuple(shape), self.minval, self.maxval, dtype, self.draw())

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "minval": self.minval, "maxval": self.maxval}


def compute_fans(shape: Sequence[int], input_axes: Sequence[int] | None = None,
                 output_axes: Sequence[int] | None = None) -> tuple[int, int]:
    """Inputs and outputs of a unit: of a kernel (*K, I, O) they are I and O times the extents of K, unless axes say otherwise.
    """
    if input_axes is not None and output_axes is not None:
        return math.prod(shape[a] for a in input_axes), math.prod(shape[a] for a in output_axes)
    if len(shape) < 2:
        return (shape[0], shape[0]) if shape else (1, 1)
    field = math.prod(shape[:-2])
    return shape[-2] * field, shape[-1] * field


@builtin("initializers", "variance_scaling")
class VarianceScaling(RandomInitializer):
    """Numbers of variance scale / n, where n are a unit's inputs ("fan_in"), its outputs ("fan_out") or the mean of both
    ("fan_avg").

    ``distribution``: "truncated_normal", "untruncated_normal" or "uniform". Source: https://keras.io/api/layers/initializers/

    Example:

        >>> from graphnet import initializers
        >>> x = initializers.VarianceScaling(3.0, "fan_in", "uniform", seed=1)((9, 4))
        >>> bool((abs(x) <= 1).all())
        True
    """

    def __init__(self, scale: float = 1.0, mode: str = "fan_in", distribution: str = "truncated_normal", seed: Any = None,
                 input_axes: Sequence[int] | None = None, output_axes: Sequence[int] | None = None) -> None:
        if scale <= 0:
            raise ValueError(f"VarianceScaling expects scale > 0; received scale={scale}.")
        if mode not in ("fan_in", "fan_out", "fan_avg"):
            raise ValueError(f"VarianceScaling expects mode 'fan_in', 'fan_out' or 'fan_avg'; received mode={mode!r}.")
        distribution = {"normal": "truncated_normal"}.get(distribution.lower(), distribution.lower())
        if distribution not in ("uniform", "truncated_normal", "untruncated_normal"):
            raise ValueError("VarianceScaling expects distribution 'uniform', 'truncated_normal' or 'untruncated_normal'; "
                             f"received distribution={distribution!r}.")
        self.scale, self.mode, self.distribution = scale, mode, distribution
        self.input_axes, self.output_axes = input_axes, output_axes
        super().__init__(seed)

    def __call__(self, shape: Sequence[int], dtype: Any = None) -> np.ndarray:
        fan_in, fan_out = compute_fans(shape, self.input_axes, self.output_axes)
        units = {"fan_in": fan_in, "fan_out": fan_out, "fan_avg": (fan_in + fan_out) / 2}[self.mode]
        variance = self.scale / max(1.0, units)
        if self.distribution == "truncated_normal":
            return random.truncated_normal(tuple(shape), 0.0, math.sqrt(variance) / _TRUNCATED_STD, dtype, self.draw())
        if self.distribution == "untruncated_normal":
            return random.normal(tuple(shape), 0.0, math.sqrt(variance), dtype, self.draw())
        limit = math.sqrt(3.0 * variance)
        return random.uniform(tuple(shape), -limit, limit, dtype, self.draw())

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "scale": self.scale, "mode": self.mode, "distribution": self.distribution,
                "input_axes": self.input_axes, "output_axes": self.output_axes}


class _Named(VarianceScaling):
    """A variance scaling known by its inventor's name."""

    rule: tuple[float, str, str]

    def __init__(self, seed: Any = None, input_axes: Sequence[int] | None = None,
                 output_axes: Sequence[int] | None = None) -> None:
        super().__init__(*self.rule, seed, input_axes, output_axes)

    def get_config(self) -> dict[str, Any]:
        return {**RandomInitializer.get_config(self), "input_axes": self.input_axes, "output_axes": self.output_axes}


@builtin("initializers", "glorot_uniform")
class GlorotUniform(_Named):
    """Evenly distributed within sqrt(6 / (inputs + outputs)). Source: https://proceedings.mlr.press/v9/glorot10a.html

    Example:

        >>> from graphnet import initializers
        >>> bool((abs(initializers.GlorotUniform(seed=1)((3, 3))) <= 1).all())
        True
    """

    rule = (1.0, "fan_avg", "uniform")


@builtin("initializers", "glorot_normal")
class GlorotNormal(_Named):
    """Truncated normal of variance 2 / (inputs + outputs). Source: https://proceedings.mlr.press/v9/glorot10a.html

    Example:

        >>> from graphnet import initializers
        >>> initializers.GlorotNormal(seed=1)((3, 3)).shape
        (3, 3)
    """

    rule = (1.0, "fan_avg", "truncated_normal")


@builtin("initializers", "he_uniform")
class HeUniform(_Named):
    """Evenly distributed within sqrt(6 / inputs). Source: https://arxiv.org/abs/1502.01852

    Example:

        >>> from graphnet import initializers
        >>> bool((abs(initializers.HeUniform(seed=1)((6, 3))) <= 1).all())
        True
    """

    rule = (2.0, "fan_in", "uniform")


@builtin("initializers", "he_normal")
class HeNormal(_Named):
    """Truncated normal of variance 2 / inputs. Source: https://arxiv.org/abs/1502.01852

    Example:

        >>> from graphnet import initializers
        >>> initializers.HeNormal(seed=1)((3, 3)).shape
        (3, 3)
    """

    rule = (2.0, "fan_in", "truncated_normal")


@builtin("initializers", "lecun_uniform")
class LecunUniform(_Named):
    """Evenly distributed within sqrt(3 / inputs). Source: https://arxiv.org/abs/1706.02515

    Example:

        >>> from graphnet import initializers
        >>> bool((abs(initializers.LecunUniform(seed=1)((3, 3))) <= 1).all())
        True
    """

    rule = (1.0, "fan_in", "uniform")


@builtin("initializers", "lecun_normal")
class LecunNormal(_Named):
    """Truncated normal of variance 1 / inputs. Source: https://arxiv.org/abs/1706.02515

    Example:

        >>> from graphnet import initializers
        >>> initializers.LecunNormal(seed=1)((3, 3)).shape
        (3, 3)
    """

    rule = (1.0, "fan_in", "truncated_normal")


@builtin("initializers", "orthogonal", "OrthogonalInitializer")
class Orthogonal(RandomInitializer):
    """gain times a matrix with orthogonal columns (rows, where there are fewer); the axes before the last count as one.

    Raises ShapeError below two axes. Source: https://arxiv.org/abs/1312.6120

    Example:

        >>> import numpy
        >>> from graphnet import initializers
        >>> q = initializers.Orthogonal(seed=1)((3, 3))
        >>> bool(numpy.allclose(q @ q.T, numpy.eye(3), atol=1e-6))
        True
    """

    def __init__(self, gain: float = 1.0, seed: Any = None) -> None:
        self.gain = gain
        super().__init__(seed)

    def __call__(self, shape: Sequence[int], dtype: Any = None) -> np.ndarray:
        if len(shape) < 2:
            raise ShapeError(f"Orthogonal expects a shape of at least two extents; received shape={tuple(shape)}.")
        dtype = dtypes.standardize_dtype(dtype)
        rows, columns = math.prod(shape[:-1]), shape[-1]
        q, r = np.linalg.qr(random.normal((max(rows, columns), min(rows, columns)), 0.0, 1.0, "float64", self.draw()))
        q = q * np.sign(np.diag(r))  # without this the factors would not be evenly distributed
        return (self.gain * (q.T if rows < columns else q)).reshape(shape).astype(dtype)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "gain": self.gain}
