"""A model's networkx graph as the GraphDef that TensorBoard draws: a node per call, called as TensorFlow calls such ops."""
from typing import TYPE_CHECKING, Any

from graphnet.visualization.events import tensorboard_protocol

if TYPE_CHECKING:
    import networkx as nx

# class of a layer or an op -> TensorFlow's op; what is not here keeps its name
_OPS = {
    "InputLayer": "Placeholder", "Dense": "MatMul", "Matmul": "MatMul", "EinsumDense": "Einsum", "Conv1D": "Conv2D",
    "Conv1DTranspose": "Conv2DBackpropInput", "Conv2DTranspose": "Conv2DBackpropInput",
    "Conv3DTranspose": "Conv3DBackpropInputV2", "DepthwiseConv1D": "DepthwiseConv2dNative",
    "DepthwiseConv2D": "DepthwiseConv2dNative", "MaxPooling1D": "MaxPool", "MaxPooling2D": "MaxPool",
    "MaxPooling3D": "MaxPool3D", "AveragePooling1D": "AvgPool", "AveragePooling2D": "AvgPool",
    "AveragePooling3D": "AvgPool3D", "GlobalAveragePooling1D": "Mean", "GlobalAveragePooling2D": "Mean",
    "GlobalAveragePooling3D": "Mean", "GlobalMaxPooling1D": "Max", "GlobalMaxPooling2D": "Max", "GlobalMaxPooling3D": "Max",
    "BatchNormalization": "FusedBatchNormV3", "Add": "AddV2", "Subtract": "Sub", "Multiply": "Mul", "Divide": "RealDiv",
    "TrueDivide": "RealDiv", "Power": "Pow", "Negative": "Neg", "Absolute": "Abs", "Concatenate": "ConcatV2",
    "Flatten": "Reshape", "Permute": "Transpose", "ZeroPadding1D": "Pad", "ZeroPadding2D": "Pad", "ZeroPadding3D": "Pad",
    "Embedding": "GatherV2", "ReLU": "Relu", "ELU": "Elu", "LeakyReLU": "LeakyRelu",
}
_ACTIVATIONS = {"exponential": "Exp", "linear": "Identity", "silu": "Swish", "swish": "Swish"}
_ACTIVATED = ("Conv", "Dense", "DepthwiseConv", "EinsumDense", "SeparableConv")  # layers whose activation is their last op


def graph_def(graph: "nx.MultiDiGraph") -> Any:
    """A GraphDef of ``model.graph``; nested models become scopes, and so do layers with an activation.

    Each node has its output's shapes and dtype, and the number of its parameters. Raises ImportError where the package
    tensorboard is missing.
    """
    protocol = tensorboard_protocol()
    result = protocol.GraphDef()
    _Drawing(protocol, result).place(graph, "", {})
    return result


class _Drawing:
    """One GraphDef under way."""

    def __init__(self, protocol: Any, result: Any) -> None:
        self.protocol, self.result = protocol, result

    def place(self, graph: "nx.MultiDiGraph", scope: str, given: dict[int, str]) -> list[str]:
        """Adds a model's calls; the given tensors stand for its inputs. The tensors that are its outputs."""
        tensors = {graph.graph["inputs"][position]: tensor for position, tensor in given.items()}
        for name, call in graph.nodes(data=True):
            if (name, 0) in tensors:
                continue  # an input of a nested model
            edges = sorted(graph.in_edges(name, keys=True, data=True), key=lambda edge: edge[2])
            inputs = {data.get("input", position): tensors[source, data["output"]] for source, _, position, data in edges}
            own = scope + name.replace(":", ".")  # a colon tells one of several outputs there
            if call["graph"] is not None:
                outputs = self.place(call["graph"], own + "/", inputs)
            else:
                outputs = self._call(own, call, [inputs[position] for position in sorted(inputs)])
            tensors.update({(name, index): tensor for index, tensor in enumerate(outputs)})
        return [tensors[output] for output in graph.graph["outputs"]]

    def _call(self, name: str, call: dict[str, Any], inputs: list[str]) -> list[str]:
        kind, activation = call["class_name"], call["activation"]
        if kind == "Activation":
            self._node(name, _activation(activation), inputs, call)
        elif kind.startswith(_ACTIVATED) and activation not in (None, "linear"):
            main, last = f"{name}/{_OPS.get(kind, kind)}", f"{name}/{_activation(activation)}"
            self._node(main, _OPS.get(kind, kind), inputs, call)
            self._node(last, _activation(activation), [main], {**call, "params": 0})
            name = last
        else:
            self._node(name, _OPS.get(kind, kind), inputs, call)
        return [f"{name}:{index}" if index else name for index in range(len(call["output_shapes"]))]

    def _node(self, name: str, op: str, inputs: list[str], call: dict[str, Any]) -> None:
        node = self.result.node.add(name=name, op=op, input=inputs)
        describe(self.protocol, node, call["output_shapes"], call["output_dtypes"] or ("float32",), "dtype")
        if call["params"]:
            node.attr["params"].i = call["params"]


def describe(protocol: Any, node: Any, shapes: Any, dtypes: Any, key: str) -> None:
    """Gives a node its outputs' shapes, and the dtype of the first under a key, as attributes."""
    for shape in shapes:
        extents = node.attr["_output_shapes"].list.shape.add()
        for extent in shape:
            extents.dim.add(size=-1 if extent is None else extent)
    if dtypes:
        node.attr[key].type = protocol.dtype(dtypes[0])


def _activation(name: str | None) -> str:
    name = name or "linear"
    return _ACTIVATIONS.get(name, "".join(word.capitalize() for word in name.split("_")))


__all__ = ["describe", "graph_def"]
