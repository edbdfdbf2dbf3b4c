"""A functional model as a networkx graph of its layer calls: what users query, and what pictures and summaries are made of."""
from typing import TYPE_CHECKING, Any

from graphnet.graph import Node
from graphnet.layers.core.input_layer import InputLayer
from graphnet.layers.layer import Layer
from graphnet.ops.shape import shown
from graphnet.tracing import restore

if TYPE_CHECKING:
    import networkx as nx


def numbered_calls(nodes: list[Node]) -> dict[Node, tuple[str, int]]:
    """Of each call of one model: its layer's name and its number among the layer's calls.

    The name of a call that `extract` took from a nested model is its path there.
    """
    counts: dict[Any, int] = {}
    calls = {}
    for node in nodes:
        number = counts.get(node.op, 0)
        counts[node.op] = number + 1
        calls[node] = f"{node.scope}/{node.op.name}" if node.scope else node.op.name, number
    return calls


def call_names(nodes: list[Node]) -> dict[Node, str]:
    """A name for each call of one model: the layer's, with ":1", ":2" behind for further calls in this model."""
    return {node: f"{name}:{number}" if number else name for node, (name, number) in numbered_calls(nodes).items()}


def to_networkx(model: Any) -> "nx.MultiDiGraph":
    """The frozen graph behind `Model.graph`; its docstring says what stands on it."""
    import networkx as nx  # here, because importing it takes long and only this needs it
    names, calls = call_names(model._nodes), numbered_calls(model._nodes)
    given = {t.key for t in model.inputs}
    graph = nx.MultiDiGraph(name=model.name, inputs=tuple((names[t.node], t.index) for t in model.inputs if t.node in names),
                            outputs=tuple((names[t.node], t.index) for t in model.outputs))
    for node in model._nodes:
        graph.add_node(names[node], **_attributes(node, *calls[node]))
    for node in model._nodes:
        if any((node, i) in given for i in range(len(node.specs))):
            continue
        goes_to = _inner_inputs(node)
        for position, tensor in enumerate(node.inputs):
            inner = {"input": goes_to[position]} if position in goes_to else {}
            graph.add_edge(names[tensor.node], names[node], key=position, output=tensor.index, **inner)
    return nx.freeze(graph)


def _inner_inputs(node: Node) -> dict[int, int]:
    """Of a nested model's call: which input of that model each operand is; a dict is taken in another order than its inputs."""
    model = getattr(node.op, "_functional", None) or node.op
    if getattr(model, "_nodes", None) is None:
        return {}
    (args, kwargs) = restore(node.arguments, range(len(node.inputs)))
    given = args[0] if args else kwargs["inputs"]
    return {position: i for i, position in enumerate(model._match(given))} if len(model.inputs) > 1 else {}


def _attributes(node: Node, name: str, number: int) -> dict[str, Any]:
    op = node.op
    count = len(node.specs) - len(node.structure[1])
    layer = isinstance(op, Layer)
    nested = getattr(op, "_nodes", None) is not None or getattr(op, "_functional", None) is not None
    activation = getattr(op, "activation", None)
    return {
        "kind": "input" if isinstance(op, InputLayer) else "model" if nested else "layer" if layer else "op",
        "layer": name,
        "class_name": type(op).__name__ if layer else op.class_name,
        "call": number,
        "input_shapes": tuple(shown(t.spec.shape) for t in node.inputs),
        "output_shapes": tuple(shown(s.shape) for s in node.specs[:count]),
        "output_dtypes": tuple(s.dtype for s in node.specs[:count]),
        "params": sum(v.size for v in op.weights) if layer else 0,
        "trainable": op.trainable if layer else None,
        "activation": getattr(activation, "__name__", None) if callable(activation) else None,
        "graph": op.graph if nested else None,
        "source": node.source,
    }
