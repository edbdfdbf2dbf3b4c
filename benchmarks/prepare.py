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
    import onnx_files
    if name in onnx_files.WRITERS:
        onnx_files.WRITERS[name](model, str(folder / f"{name}.onnx"))
    else:
        model.export(str(folder / f"{name}.onnx"), format="onnx", verbose=False)
    known = {"rows": rows, "multiply_adds": networks.multiply_adds(model, name), "parameters": model.count_params()}
    (folder / f"{name}.json").write_text(json.dumps(known))


if __name__ == "__main__":
    prepare(pathlib.Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]))
