"""Random tensors, as Keras 3 has them: an int seed gives the same numbers each time, a `SeedGenerator` or None new ones."""
import functools
import math
import random as python_random
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from graphnet import dtypes, ops, tree
from graphnet.dims import Dim
from graphnet.graph import Tensor, Variable, watching
from graphnet.module import Module
from graphnet.op import NAMES, FunctionCall, Op, public, symbolic_call
from graphnet.ops.convert import assign_in_trace, sized
from graphnet.ops.elementwise import Add
from graphnet.ops.random import RandomBeta, RandomBinomial, RandomBits, RandomFactors, RandomGamma, RandomNormal, RandomUniform
from graphnet.ops.special import Erfinv
from graphnet.registry import builtin
from graphnet.tracing import current

_STEP = np.array([0, 1], "uint32")


def make_default_seed() -> int:
    """A seed from Python's generator, which `graphnet.utils.set_random_seed` sets."""
    return python_random.randint(1, 10**9)


@builtin("random")
class SeedGenerator(Module):
    """A source of seeds: each draw gives a new one. Its state, two words, is a variable, so a model saves it and a graph
    advances it.

    Arguments: ``seed`` a whole number, or None for one drawn from Python's generator. Source:
    https://keras.io/api/random/seed_generator/

    Example:

        >>> from graphnet import random
        >>> source = random.SeedGenerator(7)
        >>> a, b = random.uniform((3,), seed=source), random.uniform((3,), seed=source)
        >>> bool((a == b).any())
        False
    """

    def __init__(self, seed: int | None = None, name: str | None = None) -> None:
        if seed is not None and not isinstance(seed, (int, np.integer)):
            raise ValueError(f"SeedGenerator expects seed to be a whole number or None; received seed={seed!r}.")
        self.name = name or NAMES.unique("seed_generator")
        self._seed = seed
        self.state = Variable(_words(make_default_seed() if seed is None else int(seed)), trainable=False,
                              name="seed_generator_state",
                              path=f"{self.name}/seed_generator_state")
        self.state.is_seed = True  # type: ignore[attr-defined]

    def next(self, ordered: bool = True) -> Any:
        """The seed of the next draw: an array, or within a trace a tensor."""
        trace = current()
        if trace is None:
            return self.draw()
        seed = trace.lift(self.state)
        assign_in_trace(self.state, Add()(seed, _STEP))
        return seed

    def draw(self) -> np.ndarray:
        """The seed of the next draw as an array, within a trace as well: for values that are made once, as those of weights."""
        seed = self.state.value.copy()
        self.state.assign_now(seed + _STEP)
        return seed

    def get_config(self) -> dict[str, Any]:
        return {"seed": self._seed, "name": self.name}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "SeedGenerator":
        return cls(**config)


_global: list[SeedGenerator] = []


def global_seed_generator() -> SeedGenerator:
    """What draws with seed=None take their seeds from."""
    if not _global:
        with watching(None):  # it is no variable of the function that happens to draw first
            _global.append(SeedGenerator(name="global_seed_generator"))
    return _global[0]


def set_global_seed(seed: int) -> None:
    """Restarts what draws with seed=None take their seeds from."""
    global_seed_generator().state.assign_now(_words(seed))


def _words(seed: int) -> np.ndarray:
    return np.array([seed & 0xFFFFFFFF, 0], "uint32")


def draw_seed(seed: Any) -> Any:
    """The two words that a seed argument means: an int's own, a generator's next, for None the global generator's next."""
    if isinstance(seed, (int, np.integer)):
        return _words(int(seed))
    if seed is None:
        return global_seed_generator().next()
    if isinstance(seed, SeedGenerator):
        return seed.next()
    if isinstance(seed, (np.ndarray, Tensor)) and seed.shape == (2,):
        return seed
    raise ValueError(f"seed expects a whole number, a SeedGenerator or None; received {seed!r}.")


def _draws(function: Callable[..., Any]) -> Callable[..., Any]:
    """A public op that draws numbers. Unknown extents among its arguments make it a node, so that each run draws anew."""
    marked = public(function)

    def call(*args: Any, **kwargs: Any) -> Any:
        if current() is None and any(isinstance(v, Dim) for v in tree.iterate([args, kwargs])):
            return symbolic_call(FunctionCall(marked, function.__name__), args, kwargs)
        return marked(*args, **kwargs)

    call.__name__ = call.__qualname__ = function.__name__
    call.__doc__, call.__module__, call.__wrapped__ = function.__doc__, __name__, function  # type: ignore[attr-defined]
    return call


def _shape(shape: Any) -> tuple[Any, ...]:
    return (shape,) if isinstance(shape, (int, Dim)) else tuple([s if isinstance(s, Dim) else int(s) for s in shape])


def _drawn(op_class: Callable[..., Op], shape: Any, dtype: str, seed: Any, *parameters: Any) -> Any:
    return sized(op_class(_shape(shape), dtype), draw_seed(seed), *parameters)


def _float(dtype: Any) -> str:
    dtype = dtypes.standardize_dtype(dtype)
    if dtype not in dtypes.FLOATS:
        raise ValueError(f"Random numbers of this kind are floats; received dtype={dtype!r}. Use graphnet.random.randint for "
                         "integers.")
    return dtype


@_draws
def normal(shape: Sequence[Any], mean: Any = 0.0, stddev: Any = 1.0, dtype: Any = None, seed: Any = None) -> Any:
    """Normally distributed numbers. Source: https://keras.io/api/random/random_ops/

    Example:

        >>> from graphnet import random
        >>> random.normal((2, 3), seed=1).shape
        (2, 3)
    """
    return _moved(_drawn(RandomNormal, shape, _float(dtype), seed), stddev, mean)


def _moved(x: Any, scale: Any, offset: Any) -> Any:
    x = x if isinstance(scale, (int, float)) and scale == 1 else ops.multiply(x, scale)
    return x if isinstance(offset, (int, float)) and offset == 0 else ops.add(x, offset)


@_draws
def uniform(shape: Sequence[Any], minval: Any = 0.0, maxval: Any = 1.0, dtype: Any = None, seed: Any = None) -> Any:
    """Numbers evenly distributed from minval up to, without, maxval; whole numbers for an integer dtype.

    Source: https://keras.io/api/random/random_ops/

    Example:

        >>> from graphnet import random
        >>> x = random.uniform((100,), 2.0, 3.0, seed=1)
        >>> bool((x >= 2).all() and (x < 3).all())
        True
    """
    if dtype is not None and dtypes.standardize_dtype(dtype) in dtypes.INTS:
        return randint(shape, minval, maxval, dtype, seed)
    x = _drawn(RandomUniform, shape, _float(dtype), seed)
    numbers = isinstance(minval, (int, float)) and isinstance(maxval, (int, float))
    width = maxval - minval if numbers else ops.subtract(maxval, minval)
    return _moved(x, width, minval)


@_draws
def truncated_normal(shape: Sequence[Any], mean: Any = 0.0, stddev: Any = 1.0, dtype: Any = None, seed: Any = None) -> Any:
    """Normally distributed numbers, none farther than two standard deviations from the mean.

    Source: https://keras.io/api/random/random_ops/

    Example:

        >>> from graphnet import random
        >>> bool((abs(random.truncated_normal((100,), seed=1)) <= 2).all())
        True
    """
    u = _drawn(RandomUniform, shape, _float(dtype), seed)
    edge = math.erf(math.sqrt(2.0))
    x = ops.multiply(Erfinv()(_moved(u, 2.0 * edge, -edge)), math.sqrt(2.0))
    return _moved(ops.clip(x, -2.0, 2.0), stddev, mean)


@_draws
def randint(shape: Sequence[Any], minval: Any, maxval: Any, dtype: Any = "int32", seed: Any = None) -> Any:
    """Whole numbers from minval up to, without, maxval. Source: https://keras.io/api/random/random_ops/

    Example:

        >>> from graphnet import random
        >>> sorted(set(random.randint((100,), 3, 6, seed=1).tolist()))
        [3, 4, 5]
    """
    dtype = dtypes.standardize_dtype(dtype)
    if dtype not in dtypes.INTS:
        raise ValueError(f"randint expects an integer dtype; received dtype={dtype!r}. Use graphnet.random.uniform for floats.")
    bits = _drawn(RandomBits, shape, "uint32", seed)
    span = ops.cast(ops.subtract(maxval, minval), "uint32")
    return ops.add(ops.cast(ops.mod(bits, span), dtype), ops.cast(minval, dtype))


@_draws
def dropout(inputs: Any, rate: float, noise_shape: Sequence[Any] | None = None, seed: Any = None) -> Any:
    """The inputs, each with probability `rate` multiplied with 0 and else divided by 1 - rate.

    ``noise_shape``: extents of the mask, None or 1 for each axis: along those of 1 all elements share one fate.
    Source: https://jmlr.org/papers/v15/srivastava14a.html

    Example:

        >>> from graphnet import ops, random
        >>> sorted(set(random.dropout(ops.ones((100,)), 0.5, seed=1).tolist()))
        [0.0, 2.0]
    """
    x = ops.convert.floating(inputs)
    if not 0 <= rate < 1:
        raise ValueError(f"dropout expects a rate from 0 up to, without, 1; received rate={rate}.")
    if rate == 0:
        return x
    extents = ops.shape(x)
    if noise_shape is not None:
        extents = tuple([s if n is None else n for s, n in zip(extents, noise_shape, strict=True)])
    return ops.multiply(x, _drawn(functools.partial(RandomFactors, rate=float(rate)), extents, str(x.dtype), seed))


@_draws
def categorical(logits: Any, num_samples: int, dtype: Any = "int32", seed: Any = None) -> Any:
    """Classes drawn with the probabilities softmax(logits). Shapes: (N, C) -> (N, num_samples).

    Source: https://keras.io/api/random/random_ops/

    Example:

        >>> from graphnet import random
        >>> random.categorical([[0.0, 100.0]], 3, seed=1)
        array([[1, 1, 1]], dtype=int32)
    """
    x = ops.convert.floating(logits)
    rows, classes = ops.shape(x)
    u = ops.maximum(_drawn(RandomUniform, (rows, num_samples, classes), "float32", seed), 2.0**-25)  # above 0; 1 - 2**-24 is the largest
    gumbel = ops.negative(ops.log(ops.negative(ops.log(u))))
    return ops.cast(ops.argmax(ops.add(ops.expand_dims(x, 1), gumbel), -1), dtype)


@_draws
def shuffle(x: Any, axis: int = 0, seed: Any = None) -> Any:
    """The slices of x along `axis` in a random order. Source: https://keras.io/api/random/random_ops/

    Example:

        >>> from graphnet import ops, random
        >>> sorted(random.shuffle(ops.arange(5), seed=1).tolist())
        [0, 1, 2, 3, 4]
    """
    x = ops.convert_to_tensor(x)
    order = ops.argsort(_drawn(RandomBits, (ops.shape(x)[axis],), "uint32", seed))
    return ops.take(x, order, axis)


@_draws
def gamma(shape: Sequence[Any], alpha: Any, dtype: Any = None, seed: Any = None) -> Any:
    """Gamma distributed numbers with shape parameter `alpha` and scale 1. Source: https://keras.io/api/random/random_ops/

    Example:

        >>> from graphnet import random
        >>> bool((random.gamma((100,), 0.5, seed=1) > 0).all())
        True
    """
    dtype = _float(dtype)
    return _drawn(RandomGamma, shape, dtype, seed, ops.cast(alpha, dtype))


@_draws
def beta(shape: Sequence[Any], alpha: Any, beta: Any, dtype: Any = None, seed: Any = None) -> Any:
    """Beta distributed numbers between 0 and 1. Source: https://keras.io/api/random/random_ops/

    Example:

        >>> from graphnet import random
        >>> x = random.beta((100,), 2.0, 3.0, seed=1)
        >>> bool((x > 0).all() and (x < 1).all())
        True
    """
    dtype = _float(dtype)
    return _drawn(RandomBeta, shape, dtype, seed, ops.cast(alpha, dtype), ops.cast(beta, dtype))


@_draws
def binomial(shape: Sequence[Any], counts: Any, probabilities: Any, dtype: Any = None, seed: Any = None) -> Any:
    """How many of `counts` trials succeed, each with its probability. Source: https://keras.io/api/random/random_ops/

    Example:

        >>> from graphnet import random
        >>> random.binomial((2,), 5, 1.0, seed=1)
        array([5., 5.], dtype=float32)
    """
    return _drawn(RandomBinomial, shape, dtypes.standardize_dtype(dtype), seed, ops.convert_to_tensor(counts),
                  ops.convert_to_tensor(probabilities))


__all__ = ["SeedGenerator", "beta", "binomial", "categorical", "dropout", "gamma", "normal", "randint", "shuffle",
           "truncated_normal", "uniform"]
