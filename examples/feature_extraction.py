"""Features of photographs from a trained Keras model: the graph as a picture, activations of chosen layers, features in a file.

python examples/feature_extraction.py [--out DIR]
"""
import argparse
import pathlib
import struct
import time
import zlib

import numpy as np

import graphnet

DATA = pathlib.Path(__file__).resolve().parent / "data"
LAYERS = ("activation_2", "add_1", "add_4")  # early edges, parts of a face, and what the classifier sees
EMOTIONS = ("angry", "disgust", "fear", "happy", "sad", "surprise", "neutral")
FACES = {"astronaut": (45, 160, 130), "cat": (0, 80, 300)}  # top, left and side of the square to look at


def face(photograph, top, left, side, size=64):
    """A square of a photograph as the model takes it: grey, size x size pixels, values from -1 to 1."""
    square = photograph[top:top + side, left:left + side].astype("float32") @ np.array([0.299, 0.587, 0.114], "float32")
    at = (np.arange(size) + 0.5) * side / size - 0.5  # bilinear: each new pixel between four old ones
    low = np.clip(np.floor(at).astype(int), 0, side - 2)
    part = np.clip(at - low, 0, 1).astype("float32")
    rows = square[low] * (1 - part)[:, None] + square[low + 1] * part[:, None]
    grey = rows[:, low] * (1 - part) + rows[:, low + 1] * part
    return grey[..., None] / 127.5 - 1


def sheet(activations, size=96, across=8):
    """The first channels of one layer as a row of grey pictures, each stretched to its own range."""
    height, width, channels = activations.shape
    rows, columns = np.arange(size) * height // size, np.arange(size) * width // size
    pictures = []
    for c in range(min(channels, across)):
        channel = activations[..., c]
        low, high = channel.min(), channel.max()
        grey = np.uint8(255 * (channel - low) / max(high - low, 1e-9))
        pictures.append(np.pad(grey[rows][:, columns], 2, constant_values=255))
    return np.concatenate(pictures, axis=1)


def write_png(path, grey):
    """An 8-bit grey picture as a PNG file."""
    height, width = grey.shape
    rows = np.concatenate([np.zeros((height, 1), np.uint8), grey], axis=1).tobytes()

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
    head = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b""))


def main():
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--out", type=pathlib.Path, default=pathlib.Path("features"), help="folder for the results (features)")
    out = arguments.parse_args().out
    out.mkdir(parents=True, exist_ok=True)

    start = time.perf_counter()
    model = graphnet.models.load_model(DATA / "mini_xception.hdf5")
    print(f"loaded {model.name!r}: {len(model.layers)} layers, {model.count_params():,} parameters, in {1e3 * (time.perf_counter() - start):.0f} ms")

    start = time.perf_counter()
    graphnet.utils.plot_model(model, out / "graph.png", show_shapes=True, show_layer_names=True, dpi=70)
    print(f"drew {model.graph.number_of_nodes()} calls and {model.graph.number_of_edges()} edges into {out / 'graph.png'} "
          f"in {1e3 * (time.perf_counter() - start):.0f} ms")

    with np.load(DATA / "photographs.npz") as photographs:
        names = list(FACES)
        faces = np.stack([face(photographs[name], *FACES[name]) for name in names])

    extractor = model.extract(*LAYERS)
    start = time.perf_counter()
    features = extractor(faces)
    first = time.perf_counter() - start
    start = time.perf_counter()
    features = extractor(faces)
    again = time.perf_counter() - start
    print(f"features of {len(names)} photographs: first call {1e3 * first:.0f} ms (kernels loaded, or compiled once on this machine), "
          f"then {1e6 * again:.0f} microseconds")
    for layer, values in zip(LAYERS, features, strict=True):
        print(f"  {layer:14} {values.shape}")

    sheets = [np.concatenate([sheet(values[i]) for values in features]) for i in range(len(names))]
    write_png(out / "activations.png", np.concatenate(sheets, axis=0))
    np.savez_compressed(out / "features.npz", **dict(zip(LAYERS, features, strict=True)), photographs=np.array(names))
    print(f"wrote {out / 'activations.png'} and {out / 'features.npz'}")

    for name, scores in zip(names, model.predict(faces, verbose=0), strict=True):
        best = int(scores.argmax())
        print(f"{name}: {EMOTIONS[best]} ({100 * scores[best]:.0f} %)")


if __name__ == "__main__":
    main()
