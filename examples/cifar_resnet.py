"""The toy ResNet of Keras's guide "The Functional API" on a sample of CIFAR-10: 4,000 photographs to learn from, ten kinds of things.

python examples/cifar_resnet.py [--data DIR] [--out DIR] [--quick]

Where matplotlib is installed, the curves are drawn into cifar_resnet.png.
"""
import pathlib
import time

import numpy as np
from support import parse, skip

import graphnet
from graphnet import layers

TRAIN, TEST, CHANCE = 4000, 1000, 0.10


def photographs(folder: pathlib.Path) -> tuple[np.ndarray, ...]:
    """The first 4,000 photographs to train on and the first 1,000 to test with, as numbers from 0 to 1, and their labels."""
    sample = folder / "cifar10" / "cifar10_sample.npz"
    try:
        (x, y), (x_test, y_test) = graphnet.datasets.cifar10.load_data(sample if sample.is_file() else None)
    except FileNotFoundError as error:
        skip(error)
    return x[:TRAIN].astype("float32") / 255, y[:TRAIN, 0], x_test[:TEST].astype("float32") / 255, y_test[:TEST, 0]


class Mirrored(graphnet.utils.PyDataset):
    """Batches in a new order each epoch, half of the pictures mirrored: no picture looks quite the same twice."""

    def __init__(self, x: np.ndarray, y: np.ndarray, size: int, seed: int) -> None:
        super().__init__()
        self.x, self.y, self.size, self.random = x, y, size, np.random.default_rng(seed)
        self.on_epoch_end()

    def __len__(self) -> int:
        return -(-len(self.x) // self.size)

    def __getitem__(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        rows = slice(index * self.size, (index + 1) * self.size)
        x = self.x[self.order[rows]]
        return np.where(self.mirrored[rows, None, None, None], x[:, :, ::-1], x), self.y[self.order[rows]]

    def on_epoch_end(self) -> None:
        self.order, self.mirrored = self.random.permutation(len(self.x)), self.random.random(len(self.x)) < 0.5


def network() -> graphnet.Model:
    """Two residual blocks; 223,242 parameters."""
    inputs = graphnet.Input(shape=(32, 32, 3), name="img")
    x = layers.Conv2D(32, 3, activation="relu")(inputs)
    x = layers.Conv2D(64, 3, activation="relu")(x)
    block = layers.MaxPooling2D(3)(x)
    for _ in range(2):
        x = layers.Conv2D(64, 3, activation="relu", padding="same")(block)
        x = layers.Conv2D(64, 3, activation="relu", padding="same")(x)
        block = layers.add([x, block])
    x = layers.Conv2D(64, 3, activation="relu")(block)
    x = layers.GlobalAveragePooling2D()(x)
    x = layers.Dropout(0.5)(layers.Dense(256, activation="relu")(x))
    return graphnet.Model(inputs, layers.Dense(10)(x), name="toy_resnet")


def draw(history: dict[str, list[float]], file: pathlib.Path) -> None:
    """Accuracy by epoch as a picture."""
    try:
        from matplotlib.figure import Figure
    except ImportError:
        print("no curve is drawn without matplotlib: pip install matplotlib")
        return
    figure = Figure(figsize=(6, 3.6), layout="constrained")
    axes = figure.subplots()
    epochs = range(1, len(history["accuracy"]) + 1)
    axes.plot(epochs, history["accuracy"], label="training photographs")
    axes.plot(epochs, history["val_accuracy"], label="test photographs")
    axes.axhline(CHANCE, color="grey", linestyle=":", label="chance")
    axes.set(xlabel="epoch", ylabel="accuracy", ylim=(0, 1), title=f"Toy ResNet, {TRAIN:,} photographs of CIFAR-10")
    axes.xaxis.get_major_locator().set_params(integer=True)
    axes.legend()
    figure.savefig(file, dpi=120)
    print(f"drew {file}")


def main() -> None:
    arguments = parse(__doc__)
    x, y, x_test, y_test = photographs(arguments.data)
    graphnet.utils.set_random_seed(1)
    model = network()
    model.compile(graphnet.optimizers.Adam(0.001), graphnet.losses.SparseCategoricalCrossentropy(from_logits=True), metrics=["accuracy"])
    if arguments.quick:
        x, y = x[:512], y[:512]
    start = time.perf_counter()
    history = model.fit(Mirrored(x, y, 32, seed=1), epochs=1 if arguments.quick else 12, validation_data=(x_test, y_test), verbose=2)
    print(f"{model.count_params():,} parameters, trained in {time.perf_counter() - start:.1f} s")
    draw(history.history, arguments.out / "cifar_resnet.png")
    accuracy = model.evaluate(x_test, y_test, verbose=0, return_dict=True)["accuracy"]
    print(f"test accuracy {accuracy:.3f} after the last epoch: {100 * (accuracy - CHANCE):.0f} points above chance ({CHANCE:.2f})")


if __name__ == "__main__":
    main()
