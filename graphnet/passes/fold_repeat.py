"""fold_repeat: images that grow by whole factors in front of a convolution are never made; the convolution reads the small ones.

Behind pixels that are repeated s times along an axis, a convolution of stride 1 and n elements is the transpose of one of stride s
and n + s - 1 elements, each a sum of up to s of the others: u = s i + r for r < s, so y[o] = sum over u, k of x[u // s] w[k] with
o = u + k - before becomes the sum over i, j of x[i] v[j] with o = s i + j - before and v[j] = sum over r of w[j - r].
An output then takes (n + s - 1)^2 / s^2 products in place of n^2.
"""
import math
from collections import Counter

from graphnet.graph import Graph, Node, Tensor
from graphnet.ops.convolution import Conv, ConvGradInput, ConvTranspose
from graphnet.ops.elementwise import Add
from graphnet.ops.layout import Pad, Repeat, Slice, Transpose
from graphnet.passes.fold import LARGEST, expand, folded, is_fixed
from graphnet.passes.simplify import made, made_anew

# Measured on a Zen 5 server, one thread, 3x3, "same", times as fast as by an enlarged image: doubled sides, 16 to 16 channels 3.2, 32 to
# 32 2.0, 64 to 64 1.0, 128 to 64 1.15, 128 to 128 0.75, 256 to 128 0.54 (there Winograd saves more); sides times 3, 128 to 128 1.7
SAVED = 1.5  # times less products, from which on it pays
MANY = 1 << 14  # channels times filters from which on 3x3 goes by Winograd at its best
SAVED_OF_MANY = 3


def fold_repeat(graph: Graph) -> Graph:
    """Replaces a convolution behind `Repeat` along its spatial axes, which has no other reader, by a transposed one."""
    uses = Counter(t.key for n in graph.nodes for t in n.inputs) + Counter(t.key for t in graph.roots)
    written = set(graph.updates)

    def change(node: Node, inputs: tuple[Tensor, ...]) -> list[Tensor] | None:
        op = node.op
        if not isinstance(op, (Conv, ConvTranspose)) or set(op.strides) | set(op.dilation) != {1} or getattr(op, "groups", 1) != 1:
            return None
        kernel, rank = inputs[1], len(op.strides)
        before, factors, depth = node.inputs[0], [1] * rank, 0
        while isinstance(before.node.op, Repeat) and 0 < before.node.op.axis <= rank and uses[before.key] == 1:
            factors[before.node.op.axis - 1] *= before.node.op.repeats
            before, depth = before.node.inputs[0], depth + 1
        if depth == 0 or not is_fixed(kernel, written) or not _pays(kernel, factors):
            return None
        x = inputs[0]
        for _ in range(depth):
            x = x.node.inputs[0]
        new = _transposed(node, kernel, factors)
        return None if new is None else [made(new, (x, _summed(node, kernel, factors)), node)]
    return graph.rewrite(change)


def _pays(kernel: Tensor, factors: list[int]) -> bool:
    """Whether so many products are saved, and the kernel stays small enough to be kept."""
    *size, channels, filters = map(int, kernel.spec.shape)  # type: ignore[arg-type]
    wide = math.prod(n + s - 1 for n, s in zip(size, factors, strict=True))
    least = SAVED_OF_MANY if size == [3, 3] and channels * filters >= MANY else SAVED
    return math.prod(size) * math.prod(factors) >= least * wide and wide * channels * filters <= LARGEST


def _transposed(node: Node, kernel: Tensor, factors: list[int]) -> ConvGradInput | None:
    """The op that takes the convolution's place; None where its windows begin, or end, outside of their padding."""
    op, (*size, _, _) = node.op, kernel.spec.shape
    if isinstance(op, ConvTranspose):
        pads = op.pads(size)  # type: ignore[arg-type]
    else:
        around: object = op.padding
        if around == "same":
            around = [((n - 1) // 2, n // 2) for n in size]  # type: ignore[operator]
        elif around == "valid":
            around = [(0, 0)] * len(size)
        pads = tuple([(n - 1 - first, n - 1 - last) for n, (first, last) in zip(size, around, strict=True)])  # type: ignore
    if any(not 0 <= v < n for pair, n in zip(pads, size, strict=True) for v in pair):  # type: ignore[operator]
        return None
    return ConvGradInput(node.specs[0].shape[1:-1], tuple(factors), pads, (1,) * len(factors))


def _summed(node: Node, kernel: Tensor, factors: list[int]) -> Tensor:
    """The kernel (*K, filters, channels) of the transposed convolution: along each axis, the sum of s shifted ones."""
    rank, w = len(factors), expand(kernel)
    if isinstance(node.op, Conv):  # it reads its kernel backwards, as seen from the transposed one
        none = (None,) * (rank + 2)
        w = made_anew(Slice(none, none, (-1,) * rank + (1, 1)), (w,), node)
        w = made_anew(Transpose((*range(rank), rank + 1, rank)), (w,), node)
    for axis, factor in enumerate(factors):
        shifted = [made_anew(Pad(tuple([(r, factor - 1 - r) if a == axis else (0, 0) for a in range(rank + 2)])), (w,), node)
                   for r in range(factor)]
        w = shifted[0]
        for other in shifted[1:]:
            w = made_anew(Add(), (w, other), node)
    return folded(w)
