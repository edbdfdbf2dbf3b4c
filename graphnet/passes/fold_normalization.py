"""fold_normalization: a factor for each channel behind a convolution or matrix product moves into its kernel.

(conv(x, W) + b) * s + t, which is what batch normalization does at inference, becomes conv(x, W * s) + (b * s + t). What
layer normalization does with a scale and a shift for each channel becomes one op.
"""
from collections import Counter

from graphnet.graph import Graph, Node, Tensor, Variable
from graphnet.op import Contraction
from graphnet.ops.convolution import Conv, ConvTranspose, DepthwiseConv
from graphnet.ops.elementwise import Add, Multiply
from graphnet.ops.linalg import MatMul
from graphnet.ops.scaling import Normalize
from graphnet.ops.shape import Reshape
from graphnet.passes.fold import expand, folded, is_fixed


def _computed(op: object, inputs: tuple[Tensor, ...], like: Node) -> Tensor:
    tensors = tuple([expand(t) for t in inputs])
    return Tensor(Node(op, tensors, (op.infer(*[t.spec for t in tensors]),), op.name, like.scope))  # type: ignore[attr-defined]


def _by_channel(tensor: Tensor, channels: object, written: set[Variable]) -> bool:
    """Whether a tensor is fixed and has one value for each channel (or one for all) of the last axis."""
    extents = tensor.spec.shape
    return is_fixed(tensor, written) and all(s == 1 for s in extents[:-1]) and (not extents or extents[-1] in (1, channels))


def _scaled(kernel: Tensor, op: Contraction, scale: Tensor, node: Node) -> Tensor | None:
    """The kernel times the scale, along the axes that hold the output's channels."""
    shape = kernel.spec.shape
    if isinstance(op, MatMul):
        if len(shape) != 2 or op.transpose_b:
            return None
        target: tuple[int, ...] = (-1,)
    elif isinstance(op, ConvTranspose):
        target = (-1, 1)
    elif isinstance(op, DepthwiseConv):
        target = shape[-2:] if scale.spec.shape and scale.spec.shape[-1] != 1 else (-1,)  # type: ignore[assignment]
    elif isinstance(op, Conv):
        target = (-1,)
    else:
        return None
    factor = _computed(Reshape(target), (scale,), node)
    return folded(_computed(Multiply(), (kernel, factor), node))


def fold_normalization(graph: Graph) -> Graph:
    """Moves factors by channel into the kernels before them, where no one else reads what lies between."""
    uses = Counter(t.key for n in graph.nodes for t in n.inputs)
    uses.update(t.key for t in graph.roots)
    single = {n: all(uses[n, i] == 1 for i in range(len(n.specs))) for n in graph.nodes}
    single_new: dict[Node, bool] = {}
    written = set(graph.updates)  # what is folded of these would be computed anew in each call

    def change(node: Node, inputs: tuple[Tensor, ...]) -> list[Tensor] | None:
        single_new.update((new.node, single.get(old.node, False)) for new, old in zip(inputs, node.inputs, strict=True))
        if not isinstance(node.op, (Multiply, Add)):
            return None
        if isinstance(node.op, Add) and (whole := _normalized(node, inputs, single_new)) is not None:
            return [whole]
        for x, fixed in (inputs, inputs[::-1]):
            channels = x.spec.shape[-1] if x.spec.shape else None
            if _by_channel(fixed, channels, written) and x.spec == node.specs[0] and single_new[x.node]:
                found = _merged(node, x, fixed, single_new, written)
                if found is not None:
                    return [found]
        return None

    return graph.rewrite(change)


def _merged(node: Node, x: Tensor, fixed: Tensor, single: dict[Node, bool], written: set[Variable]) -> Tensor | None:
    """`x * fixed` or `x + fixed` with the fixed operand moved into the contraction, or the shift, that x is; `single`: what has one reader."""
    shift: Tensor | None = None
    product = x
    if isinstance(x.node.op, Add):
        for a, b in (x.node.inputs, x.node.inputs[::-1]):
            if isinstance(a.node.op, Contraction) and a.spec == x.spec and _by_channel(b, x.spec.shape[-1], written):
                product, shift = a, b
                break
    contraction = product.node.op
    if not isinstance(contraction, Contraction):
        return None
    if isinstance(node.op, Add):
        if shift is None:
            return None
        total = folded(_computed(Add(), (shift, fixed), node))
        return Tensor(Node(Add(), (product, total), node.specs, "add", node.scope))
    source, kernel = product.node.inputs
    if not is_fixed(kernel, written) or not single[product.node]:
        return None
    new_kernel = _scaled(kernel, contraction, fixed, node)
    if new_kernel is None:
        return None
    y = Tensor(Node(contraction, (source, new_kernel), product.node.specs, product.node.name, product.node.scope))
    if shift is None:
        return y
    single[y.node] = True
    return Tensor(Node(Add(), (y, folded(_computed(Multiply(), (shift, fixed), node))), node.specs, "add", node.scope))


def _vector(tensor: Tensor, channels: tuple[object, ...]) -> bool:
    """Whether a tensor is of float32 and has one value for each channel of the last axis."""
    extents = tensor.spec.shape
    return tensor.dtype == "float32" and extents[-1:] == channels != () and all(s == 1 for s in extents[:-1])


def _normalized(node: Node, inputs: tuple[Tensor, ...], single: dict[Node, bool]) -> Tensor | None:
    """normalize(x) * scale + shift, of float32, as one op, where nothing else reads what lies between."""
    for scaled, shift in (inputs, inputs[::-1]):
        if not isinstance(scaled.node.op, Multiply) or not single[scaled.node] or scaled.spec != node.specs[0]:
            continue
        for normal, scale in (scaled.node.inputs, scaled.node.inputs[::-1]):
            op, channels = normal.node.op, normal.spec.shape[-1:]
            if not isinstance(op, Normalize) or len(normal.node.inputs) > 1 or normal.spec != scaled.spec or not single[normal.node]:
                continue
            if normal.dtype == "float32" and all(_vector(t, channels) for t in (scale, shift)):
                along = [t if t.spec.shape == channels else _computed(Reshape(channels), (t,), node) for t in (scale, shift)]
                return Tensor(Node(op, (*normal.node.inputs, *along), node.specs, op.name, node.scope))
    return None
