"""Handwritten digits with the two-layer network of Keras's guide "The Functional API": above 95 % after two epochs.

python examples/mnist_mlp.py [--data DIR] [--out DIR] [--quick]
"""
import time

import numpy as np
from support import mnist, parse

import graphnet
from graphnet import layers


def main() -> None:
    arguments = parse(__doc__)
    (x, y), (x_test, y_test) = mnist(arguments.data)
    graphnet.utils.set_random_seed(1)

    inputs = graphnet.Input(shape=(28, 28, 1), name="digit")
    hidden = layers.Dense(64, activation="relu")(layers.Flatten()(inputs))
    hidden = layers.Dense(64, activation="relu")(hidden)
    model = graphnet.Model(inputs, layers.Dense(10)(hidden), name="mnist_mlp")
    model.summary()

    model.compile(
        loss=graphnet.losses.SparseCategoricalCrossentropy(from_logits=True),
        optimizer=graphnet.optimizers.RMSprop(),
        metrics=["accuracy"],
    )
    if arguments.quick:
        x, y = x[:6400], y[:6400]
    start = time.perf_counter()
    model.fit(x, y, batch_size=64, epochs=1 if arguments.quick else 2, validation_split=0.2, verbose=2)
    print(f"trained in {time.perf_counter() - start:.1f} s, kernels loaded or compiled")
    loss, accuracy = model.evaluate(x_test, y_test, verbose=0)
    print(f"test loss {loss:.4f}, test accuracy {accuracy:.4f}")

    model.save(arguments.out / "mnist_mlp.keras")
    again = graphnet.models.load_model(arguments.out / "mnist_mlp.keras")
    same = np.array_equal(again.predict(x_test, verbose=0), model.predict(x_test, verbose=0))
    print(f"saved as {arguments.out / 'mnist_mlp.keras'}; read back, it predicts {'the same' if same else 'OTHER'} numbers")


if __name__ == "__main__":
    main()
