"""fuse_attention: softmax(scale q k^T) v becomes one op, which keeps no more scores than those of a few queries."""
from collections import Counter

from graphnet.graph import Graph, Node, Tensor
from graphnet.ops.attention import HEADS_LAST, Attend
from graphnet.ops.elementwise import Multiply
from graphnet.ops.linalg import MatMul
from graphnet.ops.scaling import Softmax
from graphnet.ops.shape import Transpose
from graphnet.passes.simplify import scalar


def fuse_attention(graph: Graph) -> Graph:
    """Replaces products of four axes whose first factor is a softmax of a product; what lies between has no other reader."""
    readers = Counter(t.key for node in graph.nodes for t in node.inputs) + Counter(t.key for t in graph.roots)

    def change(node: Node, inputs: tuple[Tensor, ...]) -> list[Tensor] | None:
        found = scores_of(node, readers)
        if found is None:
            return None
        depth, scale = found
        product = inputs[0].node
        for _ in range(depth):
            product = product.inputs[0].node
        q, k = product.inputs
        op, operands = Attend(scale), (q, k if product.op.transpose_b else _turned(k, node), inputs[1])
        y = Tensor(Node(op, operands, (op.infer(*[t.spec for t in operands]),), op.name, node.scope))
        return [Tensor(Node(Transpose(HEADS_LAST), (y,), node.specs, "transpose", node.scope))]
    return graph.rewrite(change)


def scores_of(node: Node, readers: Counter) -> tuple[int, float] | None:
    """Of a product with a softmax, how many nodes before it the scores are made, and what they are scaled by; else None."""
    if node.op != MatMul() or node.specs[0].dtype != "float32" or len(node.specs[0].shape) != 4:
        return None
    weights, scale, depth = node.inputs[0], 1.0, 1
    if not isinstance(weights.node.op, Softmax) or weights.node.op.axis % 4 != 3 or readers[weights.key] != 1:
        return None
    scores = weights.node.inputs[0]
    if isinstance(scores.node.op, Multiply) and readers[scores.key] == 1:
        first, second = scores.node.inputs
        scale, depth, scores = scalar(second) or 0.0, 2, first
    product = scores.node
    if not isinstance(product.op, MatMul) or product.op.transpose_a or readers[scores.key] != 1 or not scale > 0:
        return None
    q, k = product.inputs
    same = len(k.spec.shape) == 4 and q.spec.shape[:2] == k.spec.shape[:2] == node.inputs[1].spec.shape[:2]
    return (depth, scale) if same and scores.spec.dtype == "float32" else None


def _turned(x: Tensor, node: Node) -> Tensor:
    """The last two axes exchanged, which a view may undo."""
    op = Transpose((0, 1, 3, 2))
    return Tensor(Node(op, (x,), (op.infer(x.spec),), op.name, node.scope))
