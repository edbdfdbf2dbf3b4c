"""ONNX files written from Keras's weights, for the networks whose export through tf2onnx no user would keep.

The GRU comes out of it as a loop of small operators; VGG19, with 575 MB of weights, does not come out within minutes.
Inputs are laid out as Keras's, and turned at the beginning as the exporter turns them.
"""
import networks
import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper


def save(name, path, shape, nodes, constants):
    """Writes the nodes from input "x", n rows of `shape`, to output "y", n rows of logits."""
    weights = [numpy_helper.from_array(np.ascontiguousarray(value), key) for key, value in constants.items()]
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", *shape])
    y = helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", constants["b"].size])
    graph = helper.make_graph(nodes, name, [x], [y], weights)
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(made)
    onnx.save(made, path)


def gru(model, path):
    """The GRU network with ONNX's own operator."""
    constants = {"merged": np.array([0, 0, -1], "int64"), "last": np.array([0, -1], "int64")}
    nodes = [helper.make_node("Transpose", ["x"], ["steps_0"], perm=[1, 0, 2])]
    for i, layer in enumerate(model.layers[1:3]):
        parts = [layer.forward_layer, layer.backward_layer]
        kernel, recurrent, bias = (np.stack([np.array(p.get_weights()[j]) for p in parts]) for j in range(3))
        constants |= {f"w_{i}": kernel.transpose(0, 2, 1), f"r_{i}": recurrent.transpose(0, 2, 1)}
        constants |= {f"b_{i}": bias.reshape(2, -1)}
        nodes.append(helper.make_node("GRU", [f"{x}_{i}" for x in ("steps", "w", "r", "b")], [f"all_{i}", f"end_{i}"],
                                      hidden_size=recurrent.shape[1], direction="bidirectional", linear_before_reset=1))
    nodes.insert(2, helper.make_node("Transpose", ["all_0"], ["apart"], perm=[0, 2, 1, 3]))
    nodes.insert(3, helper.make_node("Reshape", ["apart", "merged"], ["steps_1"]))
    nodes.append(helper.make_node("Transpose", ["end_1"], ["ends_1"], perm=[1, 0, 2]))
    nodes.append(helper.make_node("Reshape", ["ends_1", "last"], ["features"]))
    constants["w"], constants["b"] = model.layers[3].get_weights()
    nodes.append(helper.make_node("Gemm", ["features", "w", "b"], ["y"]))
    save("gru", path, (networks.STEPS, networks.FEATURES), nodes, constants)


def vgg19(model, path):
    """VGG19: channels come first from the beginning on, so the first dense kernel's rows are put in that order."""
    constants, nodes, flat = {}, [helper.make_node("Transpose", ["x"], ["image"], perm=[0, 3, 1, 2])], None
    for layer in model.layers[1:]:
        kind, value, last = type(layer).__name__, nodes[-1].output[0], layer is model.layers[-1]
        if kind == "MaxPooling2D":
            nodes.append(helper.make_node("MaxPool", [value], [layer.name], kernel_shape=[2, 2], strides=[2, 2]))
            continue
        if kind == "Flatten":
            flat = layer.input.shape[1:]
            nodes.append(helper.make_node("Flatten", [value], [layer.name]))
            continue
        kernel, bias = layer.get_weights()
        names = ("w", "b") if last else (f"{layer.name}_kernel", f"{layer.name}_bias")
        if kind == "Conv2D":
            constants |= zip(names, (kernel.transpose(3, 2, 0, 1), bias), strict=True)
            nodes.append(helper.make_node("Conv", [value, *names], [f"{layer.name}_sum"], pads=[1, 1, 1, 1]))
        else:
            if flat:
                kernel, flat = kernel.reshape(*flat, -1).transpose(2, 0, 1, 3).reshape(kernel.shape), None
            constants |= zip(names, (kernel, bias), strict=True)
            nodes.append(helper.make_node("Gemm", [value, *names], ["y" if last else f"{layer.name}_sum"]))
        if not last:
            nodes.append(helper.make_node("Relu", [f"{layer.name}_sum"], [layer.name]))
    save("vgg19", path, networks.SHAPES["vgg19"][0], nodes, constants)


WRITERS = {f.__name__: f for f in (gru, vgg19)}
