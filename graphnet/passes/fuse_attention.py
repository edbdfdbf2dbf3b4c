"""fuse_attention: softmax(scale q k^T) v, masked or not, becomes one op, which keeps few scores at a time."""
from collections import Counter
from dataclasses import dataclass

from graphnet.graph import Graph, Node, Tensor
from graphnet.ops.attention import HEADS_LAST, Attend, covers
from graphnet.ops.elementwise import Add, LogicalAnd, Multiply, Where
from graphnet.ops.linalg import MatMul
from graphnet.ops.scaling import Softmax
from graphnet.ops.shape import Reshape, Transpose
from graphnet.passes.simplify import made_anew, scalar


@dataclass
class Scores:
    """What the weights of a product are made of: `product` of queries and keys, the op, and the masks of the old graph."""

    product: Node
    op: Attend
    masks: list[Tensor]


def fuse_attention(graph: Graph) -> Graph:
    """Replaces products of four axes whose first factor is a softmax of a product; what lies between has no other reader."""
    readers = Counter(t.key for node in graph.nodes for t in node.inputs) + Counter(t.key for t in graph.roots)
    new: dict[object, Tensor] = {t.key: t for t in graph.inputs}

    def change(node: Node, inputs: tuple[Tensor, ...]) -> list[Tensor] | None:
        new.update({old.key: tensor for old, tensor in zip(node.inputs, inputs, strict=True)})
        mixed = node.inputs[0].node if isinstance(node.op, Reshape) and readers[node.inputs[0].key] == 1 else node
        found = scores_of(mixed, readers)
        if found is None:
            return None
        q, k, v = (new[t.key] for t in (*found.product.inputs, mixed.inputs[1]))
        if node.specs[0].shape != (*q.spec.shape[:3], v.spec.shape[3]):  # as a mask of another unknown batch makes of a product
            return None
        operands = [q, k if found.product.op.transpose_b else made_anew(Transpose((0, 1, 3, 2)), (k,), node), v]
        masks = [_of_four_axes(new[mask.key], node) for mask in found.masks]
        while len(masks) > 1:
            masks = [made_anew(LogicalAnd(), (masks[0], masks[1]), node), *masks[2:]]
        y = made_anew(found.op, (*operands, *masks), node)
        return [Tensor(Node(Transpose(HEADS_LAST), (y,), node.specs, "transpose", node.scope))]
    return graph.rewrite(change)


def scores_of(node: Node, readers: Counter) -> Scores | None:
    """What the first factor of a product is a softmax of; None where it is none of a product, or has other readers."""
    if node.op != MatMul() or node.specs[0].dtype != "float32" or len(node.specs[0].shape) != 4:
        return None
    at, hidden = node.inputs[0], None
    if isinstance(at.node.op, Where) and readers[at.key] == 1 and scalar(at.node.inputs[2]) == 0:
        hidden, at, _ = at.node.inputs
    if not isinstance(at.node.op, Softmax) or at.node.op.axis % 4 != 3 or readers[at.key] != 1:
        return None
    extents, at = at.spec.shape, at.node.inputs[0]
    masks: list[Tensor] = []
    low = -1e9
    while isinstance(at.node.op, Where) and _between(at, extents, readers):
        mask, at, other = at.node.inputs
        value = scalar(other)
        if value is None or (masks and value != low) or not _fits(mask, extents):
            return None
        masks, low = [*masks, mask], value
    if hidden is not None and [mask.key for mask in masks] != [hidden.key]:
        return None
    if not masks and isinstance(at.node.op, Add) and _between(at, extents, readers):
        first, second = at.node.inputs
        at, added = (first, second) if _scaled(first, extents, readers) is not None else (second, first)
        if added.dtype != "float32" or not _fits(added, extents):
            return None
        masks = [added]
    found = _scaled(at, extents, readers)
    if found is None:
        return None
    product, scale = found
    k, v = product.inputs[1], node.inputs[1]
    same = len(k.spec.shape) == 4 and product.inputs[0].spec.shape[:2] == k.spec.shape[:2] == v.spec.shape[:2]
    return Scores(product, Attend(scale, low, hidden is not None), masks) if same else None


def _between(x: Tensor, extents: tuple, readers: Counter) -> bool:
    """Whether a tensor is one of all scores, of any batch, that nothing else reads."""
    return x.spec.shape[1:] == extents[1:] and len(x.spec.shape) == 4 and x.dtype == "float32" and readers[x.key] == 1


def _fits(mask: Tensor, extents: tuple) -> bool:
    """Whether a mask broadcasts to the scores."""
    missing = len(extents) - mask.spec.ndim
    return missing >= 0 and covers((1,) * missing + mask.spec.shape, extents)


def _scaled(x: Tensor, extents: tuple, readers: Counter) -> tuple[Node, float] | None:
    """The product that x is, and what it is multiplied by."""
    scale = 1.0
    if isinstance(x.node.op, Multiply) and _between(x, extents, readers):
        x, factor = x.node.inputs
        scale = scalar(factor) or 0.0
    product = x.node
    if not isinstance(product.op, MatMul) or product.op.transpose_a or not _between(x, extents, readers) or not scale > 0:
        return None
    return product, scale


def _of_four_axes(mask: Tensor, node: Node) -> Tensor:
    missing = 4 - mask.spec.ndim
    return made_anew(Reshape((1,) * missing + mask.spec.shape), (mask,), node) if missing else mask

