"""1, 2, 3 and 8 threads give the same bytes: each number in a process of its own, over inference, training and random models.

``python test_threads.py`` prints a digest for each network. `cpu/test_avx2.py` asks the same of a processor without AVX-512.
"""
import hashlib
import json
import os
import pathlib
import subprocess
import sys

import numpy as np
import pytest

import graphnet
from graphnet import layers

HERE = pathlib.Path(__file__).resolve().parent


def images(*filters, **kwargs):
    """3x3 convolutions of so many filters: by Winograd where they are many, by direct sums where few."""
    image = x = graphnet.Input((21, 19, 3))
    for count in filters:
        x = layers.Conv2D(count, 3, padding="same", activation="relu", **kwargs)(x)
    return graphnet.Model(image, layers.Dense(10)(layers.Flatten()(layers.MaxPooling2D(3)(x))))


def separable():
    image = graphnet.Input((30, 31, 3))
    x = layers.Conv2D(33, 3, strides=2, use_bias=False)(image)
    for _ in range(2):
        x = layers.DepthwiseConv2D(3, padding="same")(layers.ReLU(6.0)(layers.BatchNormalization()(x)))
        x = layers.Conv2D(65, 1, activation="gelu")(x)
    return graphnet.Model(image, layers.GlobalAveragePooling2D()(x))


def bottleneck():
    """Many channels between few, too large an image to be kept whole."""
    image = x = graphnet.Input((43, 41, 9))
    for strides in (1, 2):
        x = layers.Conv2D(97, 1, activation="relu6")(x)
        x = layers.Conv2D(17, 1)(layers.DepthwiseConv2D(3, strides, padding="same", activation="relu6")(x))
    return graphnet.Model(image, layers.GlobalAveragePooling2D()(x))


def decoder():
    """Transposed convolutions and enlarged images."""
    x = small = graphnet.Input((9, 11, 17))
    x = layers.Conv2DTranspose(24, 3, strides=2, padding="same", activation="relu")(x)
    x = layers.Conv2D(20, 3, padding="same")(layers.UpSampling2D(2)(x))
    return graphnet.Model(small, layers.Conv2DTranspose(1, 3)(x))


def recurrent():
    steps = graphnet.Input((23, 17))
    x = layers.Bidirectional(layers.GRU(40, return_sequences=True))(steps)
    return graphnet.Model(steps, layers.Dense(5, activation="softmax")(layers.LSTM(70)(x)))


def attention():
    tokens = graphnet.Input((65, 48))
    x = layers.LayerNormalization()(layers.add([tokens, layers.MultiHeadAttention(3, 16)(tokens, tokens)]))
    return graphnet.Model(tokens, layers.Dense(7)(layers.Dense(200, activation="gelu")(x)))


NETWORKS = {"direct": lambda: images(5, 9), "winograd": lambda: images(64, 80, 64), "separable": separable,
            "bottleneck": bottleneck, "decoder": decoder, "recurrent": recurrent, "attention": attention}


def digest(arrays):
    total = hashlib.sha256()
    for array in arrays:
        total.update(np.ascontiguousarray(array).tobytes())
    return total.hexdigest()


def settled(model):
    """The model with seeded weights; the sums of its layers stay about 1."""
    rng = np.random.default_rng(0)
    model.set_weights([rng.uniform(0.5, 1, v.shape) if "variance" in v.name else
                       rng.normal(0, 1 / np.sqrt(max(v.size / v.shape[-1], 1)), v.shape) for v in model.weights])
    return model


def trained(model, x):
    """The weights after steps of Adam; labels are the values of a function that is easily learnt."""
    model.compile("adam", "mse")
    y = np.tanh(model(x) + 1)
    losses = [model.train_on_batch(x, y) for _ in range(3)]
    return [*model.get_weights(), *map(np.asarray, losses)]


def say():
    """A digest of each network's results, of its weights after a few steps, and of random models."""
    from test_random_graphs import picture_model
    said = {}
    for name, make in NETWORKS.items():
        model = settled(make())
        x = np.random.default_rng(1).standard_normal((9, *model.inputs[0].shape[1:]), dtype="float32")
        said[name] = digest([model(x)])
        said[f"{name}, trained"] = digest(trained(model, x))
    for seed in range(8):
        model, x = picture_model(seed)
        said[f"random model {seed}"] = digest(model(np.concatenate([x] * 8) if len(x) else x))
    print(json.dumps(said))


def ask(threads, **environment):
    """What `say` says in a process of its own, whose calls use so many threads."""
    environment = {**os.environ, **environment, "NUMBA_NUM_THREADS": "8", "GRAPHNET_THREADS": str(threads)}
    asked = subprocess.run([sys.executable, HERE / "test_threads.py"], env=environment, capture_output=True, text=True)
    assert asked.returncode == 0, asked.stderr
    return json.loads(asked.stdout)


def same_for_any_number(**environment):
    """Fails where 2, 3 or 8 threads give other bytes than one."""
    alone = ask(1, **environment)
    assert len(set(alone.values())) > 2 * len(NETWORKS), "the results of different networks differ"
    for threads in (2, 3, 8):
        found = ask(threads, **environment)
        assert found == alone, [name for name in alone if found[name] != alone[name]]


@pytest.mark.slow
def test_any_number_of_threads_gives_the_same_bytes():
    same_for_any_number()


if __name__ == "__main__":
    say()
