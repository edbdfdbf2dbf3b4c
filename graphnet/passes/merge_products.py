"""merge_products: products of one matrix with several fixed ones become one product, of which each takes its columns.

What projects to queries, keys and values in self-attention is one product, and to keys and values in cross-attention: the
matrix is read once, and all columns are cut into tiles together.
"""
import math
from collections import Counter, defaultdict

from graphnet.graph import Graph, Node, Tensor
from graphnet.op import View
from graphnet.ops.contraction import MatMul
from graphnet.ops.elementwise import Add
from graphnet.ops.shape import Concatenate, Slice
from graphnet.passes.fold import LARGEST, expand, folded, is_fixed
from graphnet.passes.simplify import made_anew


def merge_products(graph: Graph) -> Graph:
    """Merges x w + b for one x and several fixed w and b, where views alone read the results: what else does may be fused with
    its own product.
    """
    merged = {node: members for members in _families(graph) for node in members}
    made: dict[Node, Tensor] = {}

    def change(node: Node, inputs: tuple[Tensor, ...]) -> list[Tensor] | None:
        members = merged.get(node)
        if members is None:
            return None
        first = members[0]
        if first not in made:
            x = inputs[0] if isinstance(node.op, MatMul) else inputs[_product_side(node)].node.inputs[0]
            made[first] = _whole(members, x)
        begin = sum(_columns(member) for member in members[:members.index(node)])
        whole, leading = made[first], node.specs[0].ndim - 1
        op = Slice((None,) * leading + (begin,), (None,) * leading + (begin + _columns(node),), (1,) * (leading + 1))
        return [Tensor(Node(op, (whole,), node.specs, op.name, node.scope))]

    return graph.rewrite(change) if merged else graph


def _families(graph: Graph) -> list[list[Node]]:
    """Products, or the sums of them and a bias, that one product can take the place of."""
    readers: dict[Node, list[Node]] = defaultdict(list)
    for node in graph.nodes:
        for t in node.inputs:
            readers[t.node].append(node)
    shown, written = Counter(t.node for t in graph.roots), set(graph.updates)
    families: dict[tuple[object, bool], list[Node]] = defaultdict(list)
    for node in graph.nodes:
        if not _mergeable(node, written):
            continue
        last, behind = node, readers[node]
        if len(behind) == 1 and not shown[node] and _is_bias(behind[0], node, written):
            last, behind = behind[0], readers[behind[0]]
        if behind and not shown[last] and all(isinstance(reader.op, View) for reader in behind):
            families[node.inputs[0].key, last is not node].append(last)
    return [members for members in families.values()
            if len(members) > 1 and sum(math.prod(_weights(member)) for member in members) <= LARGEST]


def _mergeable(node: Node, written: set) -> bool:
    """Whether a node is a product of float32 with a fixed matrix."""
    if node.op != MatMul() or node.specs[0].dtype != "float32":
        return False
    w = node.inputs[1]
    return is_fixed(w, written) and w.spec.ndim == 2 and w.dtype == "float32"


def _is_bias(node: Node, product: Node, written: set) -> bool:
    """Whether a node adds one fixed number to each column of the product."""
    if not isinstance(node.op, Add) or node.specs != product.specs:
        return False
    bias = node.inputs[1 - _product_side(node)]
    return is_fixed(bias, written) and bias.spec.shape == product.specs[0].shape[-1:] and bias.dtype == "float32"


def _product_side(node: Node) -> int:
    """Which operand of a sum is the product."""
    return 0 if isinstance(node.inputs[0].node.op, MatMul) else 1


def _product(node: Node) -> Node:
    return node if isinstance(node.op, MatMul) else node.inputs[_product_side(node)].node


def _weights(node: Node) -> tuple[int, ...]:
    return _product(node).inputs[1].spec.shape  # type: ignore[return-value]


def _columns(node: Node) -> int:
    return _weights(node)[1]


def _side_by_side(tensors: list[Tensor], like: Node) -> Tensor:
    """Fixed tensors as one fixed tensor, joined along their last axis."""
    return folded(made_anew(Concatenate(tensors[0].spec.ndim - 1), tuple([expand(t) for t in tensors]), like))


def _whole(members: list[Node], x: Tensor) -> Tensor:
    """The one product, with its bias."""
    first = members[0]
    w = _side_by_side([_product(member).inputs[1] for member in members], first)
    y = made_anew(MatMul(), (x, w), first)
    if isinstance(first.op, MatMul):
        return y
    return made_anew(Add(), (y, _side_by_side([member.inputs[1 - _product_side(member)] for member in members], first)), first)

