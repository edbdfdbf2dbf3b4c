"""Training loops of one's own: gradients by graphnet.value_and_grad, first in a loop, then in a train_step that fit runs.

python examples/own_training.py [--data DIR] [--out DIR] [--quick]

Small changes to a picture, along the gradient of the loss by its pixels, make a network take a 3 for an 8 (Goodfellow et al., 2014,
"Explaining and Harnessing Adversarial Examples"). The second network is trained on pictures changed in this way, and bears them.
"""
import time
from typing import Any

import numpy as np
from support import mnist, parse

import graphnet
from graphnet import layers, ops

CHANGE = 0.1  # of a pixel, from 0 to 1
crossentropy = graphnet.losses.SparseCategoricalCrossentropy(from_logits=True)


class Robust(graphnet.Model):
    """A model that is trained on pictures changed to its disadvantage. Changing them is part of the step's one plan."""

    def train_step(self, data: Any) -> dict[str, Any]:
        x, y, _ = graphnet.utils.unpack_x_y_sample_weight(data)
        changed = attack(self, x, y)
        loss, gradients = graphnet.value_and_grad(loss_of)(self, changed, y)
        self.optimizer.apply(gradients, self.trainable_variables)
        return {"loss": loss}


def layers_of(name: str, kind: type[graphnet.Model]) -> graphnet.Model:
    """The same small network as either kind of model."""
    inputs = graphnet.Input(shape=(28, 28, 1))
    hidden = layers.Dense(128, activation="relu")(layers.Flatten()(inputs))
    return kind(inputs, layers.Dense(10)(layers.Dense(128, activation="relu")(hidden)), name=name)


def loss_of(model: graphnet.Model, x: Any, y: Any) -> Any:
    """The mean loss of a batch: a function of the model, of the pictures and of the labels, in ops."""
    return crossentropy(y, model(x, training=True))


def attack(model: graphnet.Model, x: Any, y: Any) -> Any:
    """The pictures, each pixel changed by CHANGE in the direction in which the loss grows."""
    _, slope = graphnet.value_and_grad(loss_of, argnums=1)(model, x, y)
    return ops.clip(x + CHANGE * ops.sign(slope), 0.0, 1.0)


def accuracy(model: graphnet.Model, x: np.ndarray, y: np.ndarray) -> float:
    return float(np.mean(model.predict(x, batch_size=256, verbose=0).argmax(-1) == y))


def main() -> None:
    arguments = parse(__doc__)
    (x, y), (x_test, y_test) = mnist(arguments.data)
    if arguments.quick:
        x, y = x[:6400], y[:6400]
    graphnet.utils.set_random_seed(1)
    epochs, size = (1, 128) if arguments.quick else (2, 128)

    plain = layers_of("plain", graphnet.Model)
    optimizer = graphnet.optimizers.Adam(0.002)

    @graphnet.function  # traced once for each shape of a batch; without it the loop gives the same, and traces at each step
    def step(images: Any, labels: Any) -> Any:
        loss, gradients = graphnet.value_and_grad(loss_of)(plain, images, labels)
        optimizer.apply(gradients, plain.trainable_variables)
        return loss

    start, steps = time.perf_counter(), 0
    for epoch in range(epochs):
        batches = np.array_split(np.random.permutation(len(x)), len(x) // size)
        losses = [step(x[rows], y[rows]) for rows in batches]
        steps += len(losses)
        print(f"plain, epoch {epoch + 1}: loss {np.mean(losses):.4f}")
    print(f"a loop over a graphnet.function: {1e3 * (time.perf_counter() - start) / steps:.1f} ms a step")

    robust = layers_of("robust", Robust)
    robust.compile(graphnet.optimizers.Adam(0.002))
    start = time.perf_counter()
    robust.fit(x, y, batch_size=size, epochs=epochs, verbose=2)
    print(f"a train_step in fit: {1e3 * (time.perf_counter() - start) / steps:.1f} ms a step, of twice the work")

    for model in (plain, robust):
        print(f"{model.name:6}  test accuracy {accuracy(model, x_test, y_test):.4f}, "
              f"on pictures changed by {CHANGE}: {accuracy(model, attack(model, x_test, y_test), y_test):.4f}")


if __name__ == "__main__":
    main()
