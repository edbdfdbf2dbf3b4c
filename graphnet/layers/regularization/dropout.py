"""Layers that disturb their input in training and hand it on in inference: Dropout and its kin."""
import math
from collections.abc import Sequence
from typing import Any

from graphnet import random
from graphnet.layers.layer import Layer
from graphnet.ops.convert import shape
from graphnet.ops.elementwise import add, greater_equal, multiply, where
from graphnet.registry import builtin


class Noise(Layer):
    """Base: ``disturb(inputs)`` in training, the inputs themselves in inference; `seed` makes the draws repeatable."""

    supports_masking = True
    rate: float
    stddev: float
    seed_generator: Any
    strength = "rate"  # the name of the argument that says how much is disturbed; at 0 nothing is

    def __init__(self, amount: float, seed: int | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if not 0 <= amount <= 1:
            raise ValueError(f"{type(self).__name__} expects {self.strength} to be a number from 0 to 1; received "
                             f"{self.strength}={amount!r}.")
        setattr(self, self.strength, amount)
        self.seed = seed
        if amount > 0:
            self.seed_generator = random.SeedGenerator(seed)

    def disturb(self, inputs: Any) -> Any:
        raise NotImplementedError

    def call(self, inputs: Any, training: Any = False) -> Any:
        return self.disturb(inputs) if training and getattr(self, self.strength) > 0 else inputs

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), self.strength: getattr(self, self.strength), "seed": self.seed}


def noise_extents(noise_shape: Any, who: str) -> tuple[int | None, ...] | None:
    """The argument noise_shape as a tuple: positive whole numbers, and None for the input's own extents."""
    if noise_shape is None:
        return None
    listed = tuple(noise_shape) if isinstance(noise_shape, Sequence) and not isinstance(noise_shape, str) else (0,)
    if any(s is not None and (not isinstance(s, int) or s <= 0) for s in listed):
        raise ValueError(f"{who} expects noise_shape to hold positive whole numbers and None; received "
                         f"noise_shape={noise_shape!r}.")
    return listed


@builtin("layers")
class Dropout(Noise):
    """In training each element is 0 with probability ``rate`` and else divided by 1 - rate; in inference the input itself.

    Arguments: ``rate`` from 0 to 1; ``noise_shape``: 1 for axes along which elements share one fate; ``seed``. Shapes: any,
    unchanged.
    Source: https://jmlr.org/papers/v15/srivastava14a.html

    Example:

        >>> import numpy as np, graphnet
        >>> graphnet.layers.Dropout(0.5)(np.ones((1, 2), "float32")).tolist()
        [[1.0, 1.0]]
    """

    def __init__(self, rate: float, noise_shape: Sequence[int | None] | None = None, seed: int | None = None,
                 **kwargs: Any) -> None:
        super().__init__(rate, seed, **kwargs)
        self.noise_shape = noise_extents(noise_shape, "Dropout")

    def disturb(self, inputs: Any) -> Any:
        if self.rate == 1:
            return multiply(inputs, 0.0)
        return random.dropout(inputs, self.rate, self.fates(inputs), self.seed_generator)

    def fates(self, inputs: Any) -> Any:
        """The shape of what is drawn; None for one fate an element."""
        return self.noise_shape

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "noise_shape": self.noise_shape}


@builtin("layers")
class GaussianNoise(Noise):
    """In training x + normal(0, stddev), in inference the input itself. Shapes: any, unchanged.

    Source: https://keras.io/api/layers/regularization_layers/gaussian_noise/

    Example:

        >>> import numpy as np, graphnet
        >>> graphnet.layers.GaussianNoise(0.1)(np.ones((1, 2), "float32")).tolist()
        [[1.0, 1.0]]
    """

    strength = "stddev"

    def __init__(self, stddev: float, seed: int | None = None, **kwargs: Any) -> None:
        super().__init__(stddev, seed, **kwargs)

    def disturb(self, inputs: Any) -> Any:
        return add(inputs, random.normal(shape(inputs), 0.0, self.stddev, self.dtype,
                                         self.seed_generator))


@builtin("layers")
class GaussianDropout(Noise):
    """In training x * normal(1, sqrt(rate / (1 - rate))), in inference the input itself. Shapes: any, unchanged.

    Source: https://jmlr.org/papers/v15/srivastava14a.html

    Example:

        >>> import numpy as np, graphnet
        >>> graphnet.layers.GaussianDropout(0.1)(np.ones((1, 2), "float32")).tolist()
        [[1.0, 1.0]]
    """

    def __init__(self, rate: float, seed: int | None = None, **kwargs: Any) -> None:
        super().__init__(rate, seed, **kwargs)

    def disturb(self, inputs: Any) -> Any:
        rate = self.rate
        if rate == 1:
            raise ValueError("GaussianDropout in training expects a rate below 1; received rate=1, whose noise has no finite "
                             "deviation.")
        return multiply(inputs, random.normal(shape(inputs), 1.0, math.sqrt(rate / (1.0 - rate)), self.dtype,
                                              self.seed_generator))


@builtin("layers")
class AlphaDropout(Noise):
    """Dropout that keeps mean and variance, for networks of SELU: what is dropped becomes selu(-inf), and all is scaled and
    moved back.

    Arguments: ``rate`` from 0 to 1; ``noise_shape`` and ``seed`` as of Dropout. Shapes: any, unchanged.

    Source: https://arxiv.org/abs/1706.02515

    Example:

        >>> import numpy as np, graphnet
        >>> graphnet.layers.AlphaDropout(0.1)(np.ones((1, 2), "float32")).tolist()
        [[1.0, 1.0]]
    """

    low = -1.6732632423543772848170429916717 * 1.0507009873554804934193349852946  # selu(-inf)

    def __init__(self, rate: float, noise_shape: Sequence[int | None] | None = None, seed: int | None = None,
                 **kwargs: Any) -> None:
        super().__init__(rate, seed, **kwargs)
        self.noise_shape = noise_extents(noise_shape, "AlphaDropout")

    def disturb(self, inputs: Any) -> Any:
        rate = self.rate
        if rate == 1:
            raise ValueError("AlphaDropout in training expects a rate below 1; received rate=1, which leaves nothing to scale.")
        fates = self.noise_shape or (None,) * inputs.ndim
        extents = [s if n is None else n for s, n in zip(shape(inputs), fates, strict=True)]
        kept = greater_equal(random.uniform(extents, seed=self.seed_generator), rate)
        scale = ((1 - rate) * (1 + rate * self.low ** 2)) ** -0.5
        return add(multiply(where(kept, inputs, self.low), scale), -scale * self.low * rate)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "noise_shape": self.noise_shape}
