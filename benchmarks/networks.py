"""The networks that the benchmarks run, written once for Keras and graphnet alike: `lib` is either of them.

`NETWORKS` maps names to functions lib -> model; `inputs` makes what a model is called with; `multiply_adds` counts its work.
"""
import math

import numpy as np

TITLE, BODY = 10, 100  # steps of the ticket triage's two texts
TOKENS, WIDTH, HEADS = 128, 256, 8  # of the transformer encoder
STEPS, FEATURES = 100, 64  # of what the GRU reads
SHAPES = {
    "mlp": [(784,)], "autoencoder": [(28, 28, 1)], "triage": [(TITLE,), (BODY,), (12,)], "resnet": [(32, 32, 3)],
    "mobilenet": [(224, 224, 3)], "resnet50": [(224, 224, 3)], "vgg19": [(224, 224, 3)], "xception": [(299, 299, 3)],
    "transformer": [(TOKENS, WIDTH)], "gru": [(STEPS, FEATURES)],
}


def mlp(lib):
    """The guide's MNIST model."""
    x = lib.Input((784,))
    h = lib.layers.Dense(64, activation="relu")(x)
    return lib.Model(x, lib.layers.Dense(10)(lib.layers.Dense(64, activation="relu")(h)))


def autoencoder(lib):
    """The guide's convolutional autoencoder."""
    layers = lib.layers
    image = x = lib.Input((28, 28, 1))
    for filters in (16, 32):
        x = layers.Conv2D(filters, 3, activation="relu")(x)
    x = layers.MaxPooling2D(3)(x)
    for filters in (32, 16):
        x = layers.Conv2D(filters, 3, activation="relu")(x)
    x = layers.Reshape((4, 4, 1))(layers.GlobalMaxPooling2D()(x))
    for filters in (16, 32):
        x = layers.Conv2DTranspose(filters, 3, activation="relu")(x)
    x = layers.Conv2DTranspose(16, 3, activation="relu")(layers.UpSampling2D(3)(x))
    return lib.Model(image, layers.Conv2DTranspose(1, 3, activation="relu")(x))


def triage(lib):
    """The guide's ticket triage: two texts and tags to a priority and a department."""
    layers = lib.layers
    title, body, tags = lib.Input((None,), name="title"), lib.Input((None,), name="body"), lib.Input((12,), name="tags")
    features = [layers.LSTM(128)(layers.Embedding(10000, 64)(title)), layers.LSTM(32)(layers.Embedding(10000, 64)(body)), tags]
    x = layers.concatenate(features)
    return lib.Model([title, body, tags], [layers.Dense(1, name="priority")(x), layers.Dense(4, name="department")(x)])


def resnet(lib):
    """The guide's toy ResNet."""
    layers = lib.layers

    def conv(x, filters, **kwargs):
        return layers.Conv2D(filters, 3, activation="relu", **kwargs)(x)
    image = lib.Input((32, 32, 3))
    x = layers.MaxPooling2D(3)(conv(conv(image, 32), 64))
    for _ in range(2):
        x = layers.add([conv(conv(x, 64, padding="same"), 64, padding="same"), x])
    x = layers.Dense(256, activation="relu")(layers.GlobalAveragePooling2D()(conv(x, 64)))
    return lib.Model(image, layers.Dense(10)(layers.Dropout(0.5)(x)))


def mobilenet(lib):
    """MobileNetV2 on 224 by 224 pixels."""
    return lib.applications.MobileNetV2(weights=None, classifier_activation=None)


def resnet50(lib):
    """ResNet50."""
    return lib.applications.ResNet50(weights=None, classifier_activation=None)


def vgg19(lib):
    """VGG19."""
    return lib.applications.VGG19(weights=None, classifier_activation=None)


def xception(lib):
    """Xception."""
    return lib.applications.Xception(weights=None, classifier_activation=None)


def transformer(lib):
    """A transformer encoder as first published: 4 layers, 8 heads, normalized after each part."""
    layers = lib.layers
    tokens = x = lib.Input((TOKENS, WIDTH))
    for _ in range(4):
        x = layers.LayerNormalization()(layers.add([x, layers.MultiHeadAttention(HEADS, WIDTH // HEADS)(x, x)]))
        x = layers.LayerNormalization()(layers.add([x, layers.Dense(WIDTH)(layers.Dense(4 * WIDTH, activation="relu")(x))]))
    return lib.Model(tokens, layers.Dense(10)(layers.GlobalAveragePooling1D()(x)))


def gru(lib):
    """Two bidirectional GRU layers."""
    layers = lib.layers
    sequence = lib.Input((STEPS, FEATURES))
    x = layers.Bidirectional(layers.GRU(128, return_sequences=True))(sequence)
    x = layers.Bidirectional(layers.GRU(128))(x)
    return lib.Model(sequence, layers.Dense(10)(x))


NETWORKS = {f.__name__: f for f in (mlp, autoencoder, triage, resnet, mobilenet, resnet50, vgg19, xception, transformer, gru)}


def inputs(name, batch):
    """What a network is called with: the first rows are the same for every batch."""
    if name == "triage":
        title, body, tags = (np.random.default_rng(i) for i in range(3))
        texts = [title.integers(10000, size=(batch, TITLE)), body.integers(10000, size=(batch, BODY))]
        return [x.astype("float32") for x in (*texts, tags.integers(2, size=(batch, 12)))]
    return [np.random.default_rng(0).random((batch, *shape), dtype="float32") for shape in SHAPES[name]]


def multiply_adds(model, name):
    """Those of convolutions, matrix products, recurrences and attention, for one row of input; counted from Keras's layers."""
    total, steps = 0, iter((TITLE, BODY))
    for layer in model.layers:
        kind = type(layer).__name__
        if kind == "LSTM":
            total += next(steps) * sum(math.prod(w.shape) for w in layer.weights[:2])
        elif kind == "Bidirectional":
            total += STEPS * sum(math.prod(w.shape) for w in layer.weights if "bias" not in w.path)
        elif kind == "MultiHeadAttention":
            total += TOKENS * (sum(math.prod(w.shape) for w in layer.weights if "bias" not in w.path) + 2 * TOKENS * WIDTH)
        elif "Conv" in kind or kind == "Dense":
            positions = layer.input.shape if "Transpose" in kind else layer.output.shape
            total += math.prod(positions[1:-1]) * sum(math.prod(w.shape) for w in layer.weights if "bias" not in w.path)
    return total
