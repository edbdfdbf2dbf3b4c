"""Random numbers as functions of a seed: two words, of which the second counts draws. Nothing is remembered between calls.

Word i of a draw is word i of the Philox4x64-10 stream under the key (seed, count), low half of each 64 bits first. It depends
on nothing else, so a kernel may compute any element by itself. Source: Salmon et al., Parallel random numbers: as easy as 1, 2, 3
(https://doi.org/10.1145/2063384.2063405).
"""
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from graphnet.errors import ShapeError
from graphnet.graph import Spec
from graphnet.op import Op, Samples
from graphnet.ops.convert import bound, shown


def stream(seed: np.ndarray) -> np.random.Philox:
    """The stream of a seed of two words."""
    return np.random.Philox(key=np.asarray(seed, np.uint64))


def words(seed: np.ndarray, count: int) -> np.ndarray:
    """The first words of a stream, uint32."""
    return np.asarray(stream(seed).random_raw((count + 1) // 2), "<u8").view("<u4")[:count]


def fractions(seed: np.ndarray, count: int, dtype: str) -> np.ndarray:
    """Multiples of 2**-24 in [0, 1), one for each word; for float64 multiples of 2**-53, one for each two words."""
    if dtype == "float64":
        return (stream(seed).random_raw(count) >> np.uint64(11)) * 2.0**-53
    bits = 11 if dtype == "float16" else 24
    return (words(seed, count) >> np.uint32(32 - bits)).astype("float32") * np.float32(2.0**-bits)


class _Draw(Op):
    """A tensor of a given shape from a seed, and from parameters that broadcast to it."""

    shape: tuple[Any, ...]
    dtype: str

    def infer(self, seed: Spec, *parameters: Spec) -> Spec:
        if seed.shape != (2,):
            raise ShapeError(f"{self.name} expects a seed of two words; received shape {shown(seed.shape)}.")
        return Spec(self.shape, self.dtype)

    def bind(self, extents: Any) -> "_Draw":
        return replace(self, shape=bound(self.shape, extents))  # type: ignore[call-arg]

    @classmethod
    def samples(cls) -> Samples:
        for extents in ((5, 7), (0, 3), (), (1,)):
            yield cls(extents), [np.array([3, 1], "uint32")]  # type: ignore[call-arg]


@dataclass(frozen=True)
class RandomBits(_Draw):
    """Words of the seed's stream."""

    shape: tuple[Any, ...] = ()
    dtype: str = "uint32"

    def reference(self, seed: np.ndarray) -> np.ndarray:
        return words(seed, math.prod(self.shape)).reshape(self.shape)


@dataclass(frozen=True)
class RandomUniform(_Draw):
    """Numbers in [0, 1): the leading 24 bits of word i, times 2**-24."""

    shape: tuple[Any, ...] = ()
    dtype: str = "float32"

    def reference(self, seed: np.ndarray) -> np.ndarray:
        return fractions(seed, math.prod(self.shape), self.dtype).astype(self.dtype).reshape(self.shape)


@dataclass(frozen=True)
class RandomFactors(_Draw):
    """Factors of dropout: 0 where the uniform number of `RandomUniform` is below ``rate``, else 1 / (1 - rate)."""

    shape: tuple[Any, ...] = ()
    dtype: str = "float32"
    rate: float = 0.5

    def reference(self, seed: np.ndarray) -> np.ndarray:
        kept = fractions(seed, math.prod(self.shape), "float32") >= np.float32(self.rate)
        return np.where(kept, 1.0 / (1.0 - self.rate), 0.0).astype(self.dtype).reshape(self.shape)


def polynomial(x: np.ndarray, coefficients: Sequence[float]) -> np.ndarray:
    """The polynomial with these coefficients, that of x**0 first, by Horner's rule."""
    y = np.full_like(x, coefficients[-1])
    for c in coefficients[-2::-1]:
        y = y * x + c
    return y


# Taylor's series: of log((1 + s) / (1 - s)) / s and sin(r) / r and cos(r), in s**2 < 0.03 and r**2 < 0.7
LOGARITHM = [2.0 / (2 * k + 1) for k in range(12)]
SINE = [(-1.0) ** k / math.factorial(2 * k + 1) for k in range(10)]
COSINE = [(-1.0) ** k / math.factorial(2 * k) for k in range(10)]


def normal_pairs(u: np.ndarray, v: np.ndarray) -> np.ndarray:
    """Two normal numbers for each pair of uniform ones, (N, 2), by sums, products, quotients and roots alone.

    Those are rounded alike everywhere, so a kernel that does the same gives the same bytes; functions of libraries would not.
    """
    mantissa, exponent = np.frexp(1.0 - u)
    small = mantissa < math.sqrt(0.5)
    mantissa, exponent = np.where(small, mantissa + mantissa, mantissa), exponent - small
    s = (mantissa - 1.0) / (mantissa + 1.0)
    radius = np.sqrt(-2.0 * (exponent * math.log(2.0) + s * polynomial(s * s, LOGARITHM)))
    quarter = np.floor(4.0 * v + 0.5)
    r = (4.0 * v - quarter) * (0.5 * math.pi)
    sine, cosine, turn = r * polynomial(r * r, SINE), polynomial(r * r, COSINE), quarter.astype(np.int64) & 3
    first = np.where((turn == 1) | (turn == 2), -radius, radius) * np.where(turn & 1, sine, cosine)
    return np.stack([first, np.where(turn >= 2, -radius, radius) * np.where(turn & 1, cosine, sine)], 1)


@dataclass(frozen=True)
class RandomNormal(_Draw):
    """Numbers of mean 0 and variance 1: of uniform u, v the elements 2i and 2i + 1 are sqrt(-2 log(1 - u)) times cos and sin
    of 2 pi v.

    Source: Box and Muller, A note on the generation of random normal deviates (https://doi.org/10.1214/aoms/1177706645).
    """

    shape: tuple[Any, ...] = ()
    dtype: str = "float32"

    def reference(self, seed: np.ndarray) -> np.ndarray:
        count = math.prod(self.shape)
        uniform = fractions(seed, count + count % 2, "float64" if self.dtype == "float64" else "float32").astype("float64")
        return normal_pairs(uniform[::2], uniform[1::2]).reshape(-1)[:count].astype(self.dtype).reshape(self.shape)


@dataclass(frozen=True)
class RandomGamma(_Draw):
    """Gamma distributed numbers of scale 1; the second operand is their shape parameter."""

    shape: tuple[Any, ...] = ()
    dtype: str = "float32"

    def reference(self, seed: np.ndarray, alpha: np.ndarray) -> np.ndarray:
        return np.asarray(np.random.Generator(stream(seed)).standard_gamma(alpha, self.shape), self.dtype)

    @classmethod
    def samples(cls) -> Samples:
        yield cls((4, 3)), [np.array([3, 1], "uint32"), np.array([0.5, 1.0, 7.0], "float32")]


@dataclass(frozen=True)
class RandomBeta(_Draw):
    """Beta distributed numbers; their parameters are the second and third operand.

    One draw, and no quotient of two gamma numbers: for small parameters both of those are 0.
    """

    shape: tuple[Any, ...] = ()
    dtype: str = "float32"

    def reference(self, seed: np.ndarray, alpha: np.ndarray, beta: np.ndarray) -> np.ndarray:
        return np.asarray(np.random.Generator(stream(seed)).beta(alpha, beta, self.shape), self.dtype)

    @classmethod
    def samples(cls) -> Samples:
        alpha, beta = np.array([[0.01, 1.0, 7.0], [0.01, 2.0, 0.5]], "float32")
        yield cls((4, 3)), [np.array([3, 1], "uint32"), alpha, beta]


@dataclass(frozen=True)
class RandomBinomial(_Draw):
    """How many of `counts` trials succeed, each with a probability: the second and third operand."""

    shape: tuple[Any, ...] = ()
    dtype: str = "float32"

    def reference(self, seed: np.ndarray, counts: np.ndarray, probabilities: np.ndarray) -> np.ndarray:
        drawn = np.random.Generator(stream(seed)).binomial(np.asarray(counts, np.int64), np.asarray(probabilities, np.float64),
                                                           self.shape)
        return np.asarray(drawn, self.dtype)

    @classmethod
    def samples(cls) -> Samples:
        yield cls((4, 3)), [np.array([3, 1], "uint32"), np.array([5, 1, 9], "int32"), np.array([0.5, 1.0, 0.1], "float32")]
