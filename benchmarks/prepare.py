"""The files from which every runtime takes the same network: built and seeded in Keras, saved, exported to ONNX from there.

python prepare.py FOLDER NETWORK ROWS, in the peers' environment. Writes NETWORK.keras, NETWORK.onnx, NETWORK.npz (what Keras
itself computes for ROWS rows) and, last, NETWORK.json; `compare.py` runs it where they are missing.
"""
import json
import os
import pathlib
import sys

import networks
import numpy as np

MEANINGS = {"moving_mean": (-0.2, 0.2), "moving_variance": (0.5, 1.5), "gamma": (0.5, 1.5), "beta": (-0.2, 0.2),
            "bias": (0.0, 0.2)}


def unsettle(model):
    """Biases and statistics are not as they are at first, 0 and 1: what ignores them would go unnoticed."""
    rng = np.random.default_rng(1)
    for variable in model.variables:
        bounds = MEANINGS.get(variable.path.split("/")[-1])
        if bounds:
            variable.assign(rng.uniform(*bounds, variable.shape).astype("float32"))


def gru_as_onnx(model, path):
    """The GRU network with ONNX's own operator: Keras's is exported as a loop of small operators, which no user would keep."""
    import onnx
    from onnx import TensorProto, helper, numpy_helper
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
    weights = [numpy_helper.from_array(np.ascontiguousarray(value), name) for name, value in constants.items()]
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", networks.STEPS, networks.FEATURES])
    graph = helper.make_graph(nodes, "gru", [x], [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", 10])], weights)
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(made)
    onnx.save(made, path)


def prepare(folder, name, rows):
    os.environ.update(KERAS_BACKEND="tensorflow", TF_CPP_MIN_LOG_LEVEL="3")
    import keras
    keras.utils.set_random_seed(0)
    model = networks.NETWORKS[name](keras)
    unsettle(model)
    expected = model(networks.inputs(name, rows), training=False)
    expected = [np.array(y) for y in (expected if isinstance(expected, (list, tuple)) else [expected])]
    if not all(np.isfinite(y).all() and np.ptp(y) > 0 for y in expected):
        raise SystemExit(f"{name} computes nothing that tells right from wrong")
    model.save(folder / f"{name}.keras")
    np.savez(folder / f"{name}.npz", *expected)
    if name == "gru":
        gru_as_onnx(model, str(folder / f"{name}.onnx"))
    else:
        model.export(str(folder / f"{name}.onnx"), format="onnx", verbose=False)
    known = {"rows": rows, "multiply_adds": networks.multiply_adds(model, name), "parameters": model.count_params()}
    (folder / f"{name}.json").write_text(json.dumps(known))


if __name__ == "__main__":
    prepare(pathlib.Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]))
