"""A networkx graph of primitive ops as the GraphDef that TensorBoard draws: TensorFlow's names of ops, scopes of layers."""
import re
from typing import TYPE_CHECKING, Any

from graphnet.visualization.event_graph import describe
from graphnet.visualization.events import tensorboard_protocol

if TYPE_CHECKING:
    import networkx as nx

# primitive -> TensorFlow's op; what is not here has no such op, and is called by its own name: log_softmax LogSoftmax
_OPS = {
    "absolute": "Abs", "add": "AddV2", "all_": "All", "any_": "Any", "arange": "Range", "arccos": "Acos",
    "arccosh": "Acosh", "arcsin": "Asin", "arcsinh": "Asinh", "arctan": "Atan", "arctan2": "Atan2", "arctanh": "Atanh",
    "argmax": "ArgMax", "argmin": "ArgMin", "average_pool": "AvgPool", "average_pool_grad": "AvgPoolGrad",
    "bessel_i0": "BesselI0", "bessel_i1": "BesselI1", "bitwise_not": "Invert", "branch": "Case", "clip": "ClipByValue",
    "concatenate": "ConcatV2", "constant": "Const", "conv": "Conv2D", "conv_grad_input": "Conv2DBackpropInput",
    "conv_grad_kernel": "Conv2DBackpropFilter", "conv_transpose": "Conv2DBackpropInput",
    "depthwise_conv": "DepthwiseConv2dNative", "depthwise_conv_grad_input": "DepthwiseConv2dNativeBackpropInput",
    "depthwise_conv_grad_kernel": "DepthwiseConv2dNativeBackpropFilter", "det": "MatrixDeterminant",
    "divide": "RealDiv", "dynamic_slice": "Slice", "eigh": "SelfAdjointEigV2", "extent": "Shape",
    "floor_divide": "FloorDiv", "fmod": "Mod", "input": "Placeholder", "inv": "MatrixInverse", "isfinite": "IsFinite",
    "isinf": "IsInf", "isnan": "IsNan", "mod": "FloorMod", "multiply": "Mul", "negative": "Neg",
    "nextafter": "NextAfter", "power": "Pow", "random_binomial": "StatelessRandomBinomial",
    "random_gamma": "StatelessRandomGammaV2", "random_normal": "StatelessRandomNormalV2",
    "random_uniform": "StatelessRandomUniformV2", "round": "Rint", "scatter_update": "TensorScatterUpdate",
    "slice": "StridedSlice", "slice_update": "TensorStridedSliceUpdate", "slogdet": "LogMatrixDeterminant",
    "softmax_crossentropy": "SoftmaxCrossEntropyWithLogits", "solve": "MatrixSolve", "standardize": "FusedBatchNormV3",
    "subtract": "Sub", "sum_to": "Sum", "take": "GatherV2", "top_k": "TopKV2", "where": "SelectV2",
    "while_loop": "While",
}
_IN_SPACE = {  # of five axes
    "AvgPool": "AvgPool3D", "AvgPoolGrad": "AvgPool3DGrad", "Conv2D": "Conv3D",
    "Conv2DBackpropFilter": "Conv3DBackpropFilterV2", "Conv2DBackpropInput": "Conv3DBackpropInputV2",
    "MaxPool": "MaxPool3D", "MaxPoolGrad": "MaxPool3DGrad"}
_BIASED = ("conv", "conv_transpose", "depthwise_conv", "mat_mul")  # an addition of a vector to these is TensorFlow's BiasAdd
_CLIPPED = {(0.0, float("inf")): "Relu", (0.0, 6.0): "Relu6"}


def primitive_graph_def(graphs: dict[str, "nx.MultiDiGraph"]) -> Any:
    """One GraphDef of graphs of primitive ops, as ``concrete.graph`` of `graphnet.function` gives them, by their names.

    Nodes are called as TensorFlow calls them, in the scopes of their layers: Placeholder, VarHandleOp and ReadVariableOp of
    each variable, the ops, AssignVariableOp, and an Identity for each output. They have shapes, dtype and the op's fields as
    attributes. What branches and loops run is among the library's functions. Of several graphs each is a scope.

    Raises ImportError where the package tensorboard is missing.
    """
    protocol = tensorboard_protocol()
    result = protocol.GraphDef()
    for name, graph in graphs.items():
        _Placing(protocol, result, result.node, graph, f"{_clean(name)}/" if len(graphs) > 1 else "").place()
    return result


def tensorflow_op(graph: "nx.MultiDiGraph", name: str) -> str:
    """What TensorFlow calls a node of such a graph."""
    node = graph.nodes[name]
    kind, fields, shapes = node["op"], node["attributes"], node["shapes"]
    sources = [graph.nodes[source] for source, _, _ in sorted(graph.in_edges(name, keys=True), key=lambda edge: edge[2])]
    ranks = [len(shape) for shape in shapes] + [len(shape) for source in sources for shape in source["shapes"]]
    if kind == "clip" and (fields["low"], fields["high"]) in _CLIPPED:
        return _CLIPPED[fields["low"], fields["high"]]
    if kind == "add" and sources[0]["op"] in _BIASED and len(sources[1]["shapes"][0]) == 1 and sources[1]["kind"] != "op":
        return "BiasAdd"
    if kind == "mat_mul":
        return "MatMul" if max(ranks) <= 2 else "BatchMatMulV2"
    if kind == "branch" and sources[0]["dtypes"] == ("bool",):
        return "If"
    if kind == "softmax_crossentropy" and sources[0]["dtypes"][0].startswith(("int", "uint")):
        return "SparseSoftmaxCrossEntropyWithLogits"
    op = _OPS.get(kind) or "".join([word[:1].upper() + word[1:] for word in kind.split("_")])
    return _IN_SPACE.get(op, op) if max(ranks, default=0) == 5 else op


class _Placing:
    """One graph on its way into a list of nodes: the GraphDef's own, or those of a function in its library."""

    def __init__(self, protocol: Any, result: Any, nodes: Any, graph: "nx.MultiDiGraph", prefix: str) -> None:
        self.protocol, self.result, self.nodes, self.graph, self.prefix = protocol, result, nodes, graph, prefix
        self.taken: set[str] = set()
        self.tensors: dict[tuple[str, int], str] = {}
        self.handles: dict[Any, list[str]] = {}  # of the variables that are read, by path and shape: modules may give the same

    def place(self) -> list[str]:
        """Adds all nodes; gives the tensors that are the outputs."""
        for name, node in self.graph.nodes(data=True):
            {"input": self.input, "variable": self.variable}.get(node["kind"], self.op)(name, node)
        assigned = []
        for path, place in self.graph.graph["updates"]:
            handle = self.assigned(path, self.graph.nodes[place[0]], place[1])
            assigned.append(self.add(f"{handle}/AssignVariableOp", "AssignVariableOp", [handle, self.tensors[place]]))
        outputs = []
        for place in self.graph.graph["outputs"]:
            node, index = self.graph.nodes[place[0]], place[1]
            outputs.append(self.add(self.prefix + "Identity", "Identity", [self.tensors[place], *[f"^{n}" for n in assigned]],
                                    node["shapes"][index:index + 1], node["dtypes"][index:index + 1]))
        return outputs

    def input(self, name: str, node: dict[str, Any]) -> None:
        self.results(name, node, self.add(self.prefix + name, "Placeholder", [], node["shapes"], node["dtypes"], "dtype"))

    def variable(self, name: str, node: dict[str, Any]) -> None:
        """A handle, and what is read of it, among the nodes of the layer that reads it."""
        folder, _, own = node["path"].rpartition("/")
        readers = [self.graph.nodes[reader]["scope"] for reader in self.graph.successors(name)]
        scope = next((s for s in readers if folder and (s == folder or s.endswith(f"/{folder}"))), folder)
        wanted = self.prefix + (f"{scope}/{own}" if scope else own)
        handle = self.add(wanted, "VarHandleOp", [], node["shapes"], node["dtypes"], "dtype")
        self.handles.setdefault((node["path"], node["shapes"][0]), []).append(handle)
        read = self.add(f"{handle}/Read/ReadVariableOp", "ReadVariableOp", [handle], node["shapes"], node["dtypes"], "dtype")
        self.results(name, node, read)

    def assigned(self, path: str, node: dict[str, Any], index: int) -> str:
        """The handle of a variable that an output of the node is assigned to; a new one where it is not read."""
        shape, dtype = node["shapes"][index], node["dtypes"][index]
        handles = self.handles.get((path, shape))
        return handles.pop(0) if handles else self.add(self.prefix + path, "VarHandleOp", [], (shape,), (dtype,), "dtype")

    def op(self, name: str, node: dict[str, Any]) -> None:
        op = tensorflow_op(self.graph, name)
        edges = sorted(self.graph.in_edges(name, keys=True, data=True), key=lambda edge: edge[2])
        inputs = [self.tensors[source, data["output"]] for source, _, _, data in edges]
        scope = f"{node['scope']}/" if node["scope"] else ""
        key = "dtype" if op == "Const" else "T"
        placed = self.add(self.prefix + scope + op, op, inputs, node["shapes"], node["dtypes"], key)
        for field, value in node["attributes"].items():
            self.attribute(placed, field, value)
        self.results(name, node, placed)

    def add(self, wanted: str, op: str, inputs: list[str], shapes: Any = (), dtypes: Any = (), key: str = "T") -> str:
        """A node under the name, or under one with a number where that is taken."""
        wanted = _clean(wanted)
        name, number = wanted, 0
        while name in self.taken:
            number += 1
            name = f"{wanted}_{number}"
        self.taken.add(name)
        describe(self.protocol, self.nodes.add(name=name, op=op, input=inputs), shapes, dtypes, key)
        return name

    def results(self, name: str, node: dict[str, Any], placed: str) -> None:
        for index in range(len(node["shapes"])):
            self.tensors[name, index] = f"{placed}:{index}" if index else placed

    def attribute(self, placed: str, field: str, value: Any) -> None:
        """A field of an op; the graphs of branches and loops become functions of the library."""
        bodies = value if isinstance(value, tuple) else (value,)
        if bodies and all(hasattr(body, "graph") for body in bodies):
            for number, body in enumerate(bodies):
                key = field if bodies is not value else f"{field}_{number}"
                self.nodes[-1].attr[key].func.name = self.function(f"{placed}_{key}", body.graph)
            return
        attribute = self.nodes[-1].attr[field]
        if isinstance(value, bool):
            attribute.b = value
        elif isinstance(value, int):
            attribute.i = value
        elif isinstance(value, float):
            attribute.f = value
        elif isinstance(value, tuple) and value and all(type(item) is int for item in value):
            attribute.list.i.extend(value)
        else:
            attribute.s = str(value).encode()

    def function(self, name: str, graph: Any) -> str:
        """A function of the library; gives its name."""
        from graphnet.visualization.primitive import to_networkx
        name = re.sub(r"\W", "_", name)
        function = self.protocol.Function()
        function.signature.name = name
        body = to_networkx(graph)
        inner = _Placing(self.protocol, self.result, function.node_def, body, "")
        outputs = inner.place()
        for number, place in enumerate(body.graph["inputs"]):
            argument = inner.tensors[place]
            function.signature.input_arg.add(name=argument, type=_type(self.protocol, body, place))
            function.arg_attr[number].attr["_user_specified_name"].s = argument.encode()
        for node in [node for node in function.node_def if node.op == "Placeholder"]:
            function.node_def.remove(node)  # arguments, not nodes
        for number, place in enumerate(body.graph["outputs"]):
            function.signature.output_arg.add(name=f"output_{number}", type=_type(self.protocol, body, place))
            function.ret[f"output_{number}"] = f"{outputs[number]}:output:0"
        self.result.library.function.append(function)
        return name


def _type(protocol: Any, graph: "nx.MultiDiGraph", place: tuple[str, int]) -> int:
    return int(protocol.dtype(graph.nodes[place[0]]["dtypes"][place[1]]))


def _clean(name: str) -> str:
    """A name as nodes may have it."""
    return re.sub(r"[^A-Za-z0-9_.\\/>-]", "_", name)


__all__ = ["primitive_graph_def", "tensorflow_op"]
