"""Handwritten digits with a small convolutional network: above 98.5 % after two epochs.

python examples/mnist_cnn.py [--data DIR] [--out DIR] [--quick]
"""
import time

from support import mnist, parse

import graphnet
from graphnet import layers

BATCH = 64


def network() -> graphnet.Model:
    """Two convolutions, each followed by pooling; 34,826 parameters."""
    inputs = graphnet.Input(shape=(28, 28, 1), name="digit")
    x = layers.Conv2D(32, 3, activation="relu")(inputs)
    x = layers.MaxPooling2D(2)(x)
    x = layers.Conv2D(64, 3, activation="relu")(x)
    x = layers.MaxPooling2D(2)(x)
    x = layers.Dropout(0.25)(layers.Flatten()(x))
    return graphnet.Model(inputs, layers.Dense(10, activation="softmax")(x), name="mnist_cnn")


def main() -> None:
    arguments = parse(__doc__)
    (x, y), (x_test, y_test) = mnist(arguments.data)
    epochs = 1 if arguments.quick else 2
    if arguments.quick:
        x, y = x[:6400], y[:6400]
    graphnet.utils.set_random_seed(1)
    model = network()
    steps = epochs * -(-int(0.9 * len(x)) // BATCH)
    rate = graphnet.optimizers.schedules.CosineDecay(0.003, steps)  # falls to nothing over the run
    model.compile(graphnet.optimizers.Adam(rate), "sparse_categorical_crossentropy", metrics=["accuracy"])

    best = arguments.out / "mnist_cnn.keras"  # the epoch that does best on the digits kept apart
    checkpoint = graphnet.callbacks.ModelCheckpoint(best, monitor="val_accuracy", save_best_only=True)
    start = time.perf_counter()
    model.fit(x, y, batch_size=BATCH, epochs=epochs, validation_split=0.1, callbacks=[checkpoint], verbose=2)
    print(f"{model.count_params():,} parameters, trained in {time.perf_counter() - start:.1f} s")
    loss, accuracy = graphnet.models.load_model(best).evaluate(x_test, y_test, verbose=0)
    print(f"test loss {loss:.4f}, test accuracy {accuracy:.4f}")


if __name__ == "__main__":
    main()
