"""The VGG networks: blocks of 3 x 3 convolutions with a pooling behind each."""
from typing import Any

from graphnet import layers
from graphnet.applications.network import Options, build
from graphnet.models import Model

FILTERS = (64, 128, 256, 512, 512)


def vgg(options: Options, convolutions: tuple[int, ...]) -> Model:
    """VGG with so many convolutions in each block."""
    options.check()

    def features(x: Any) -> Any:
        for block, (filters, count) in enumerate(zip(FILTERS, convolutions, strict=True), 1):
            for i in range(1, count + 1):
                x = layers.Conv2D(filters, (3, 3), activation="relu", padding="same", name=f"block{block}_conv{i}")(x)
            x = layers.MaxPooling2D((2, 2), strides=(2, 2), name=f"block{block}_pool")(x)
        return x

    def head(x: Any) -> Any:
        x = layers.Flatten(name="flatten")(x)
        x = layers.Dense(4096, activation="relu", name="fc1")(x)
        return layers.Dense(4096, activation="relu", name="fc2")(x)

    kind = f"vgg{sum(convolutions) + 3}"
    return build(options, options.shape(224, 32), features,
                 lambda top: f"{kind}/{kind}_weights_tf_dim_ordering_tf_kernels{'' if top else '_notop'}.h5", head,
                 pool_names=(None, None))
