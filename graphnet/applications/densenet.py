"""DenseNet121, DenseNet169, DenseNet201: each layer sees all features before it."""
from typing import Any

from graphnet import config, layers
from graphnet.applications import imagenet_utils
from graphnet.applications.docs import documented
from graphnet.applications.imagenet_utils import decode_predictions as decode_predictions
from graphnet.applications.network import Options, build
from graphnet.errors import UnsupportedError
from graphnet.models import Model

EPSILON = 1.001e-5


def _activated(x: Any, name: str) -> Any:
    x = layers.BatchNormalization(axis=3, epsilon=EPSILON, name=f"{name}bn")(x)
    return layers.Activation("relu", name=f"{name}relu")(x)


def _grown(x: Any, name: str) -> Any:
    """The features, and 32 more that are computed from them."""
    y = layers.Conv2D(128, 1, use_bias=False, name=f"{name}_1_conv")(_activated(x, f"{name}_0_"))
    y = layers.Conv2D(32, 3, padding="same", use_bias=False, name=f"{name}_2_conv")(_activated(y, f"{name}_1_"))
    return layers.Concatenate(axis=3, name=f"{name}_concat")([x, y])


def densenet(options: Options, blocks: tuple[int, ...], kind: str) -> Model:
    """DenseNet with so many layers in each block."""
    options.check()
    if config.image_data_format() == "channels_first":
        raise UnsupportedError(f"{options.name} expects image_data_format 'channels_last', as in Keras. Set it by "
                               "graphnet.config.set_image_data_format.")

    def features(x: Any) -> Any:
        x = layers.ZeroPadding2D(((3, 3), (3, 3)))(x)
        x = layers.Conv2D(64, 7, strides=2, use_bias=False, name="conv1_conv")(x)
        x = layers.ZeroPadding2D(((1, 1), (1, 1)))(_activated(x, "conv1_"))
        x = layers.MaxPooling2D(3, strides=2, name="pool1")(x)
        for block, count in enumerate(blocks, 2):
            for i in range(1, count + 1):
                x = _grown(x, f"conv{block}_block{i}")
            if block < len(blocks) + 1:
                x = layers.Conv2D(x.shape[-1] // 2, 1, use_bias=False, name=f"pool{block}_conv")(_activated(x, f"pool{block}_"))
                x = layers.AveragePooling2D(2, strides=2, name=f"pool{block}_pool")(x)
        return _activated(x, "")

    return build(options, options.shape(224, 32), features,
                 lambda top: f"densenet/{kind}_weights_tf_dim_ordering_tf_kernels{'' if top else '_notop'}.h5")


@documented("DenseNet121, of 2017: each layer sees the features of all layers before it in its block.",
            "https://arxiv.org/abs/1608.06993", (None, 1024))
def DenseNet121(include_top: bool = True, weights: Any = "imagenet", input_tensor: Any = None, input_shape: Any = None,
                pooling: str | None = None, classes: int = 1000, classifier_activation: Any = "softmax",
                name: str = "densenet121") -> Model:
    return densenet(Options(include_top, weights, input_tensor, input_shape, pooling, classes, classifier_activation, name),
                    (6, 12, 24, 16), "densenet121")


@documented("DenseNet169, of 2017: each layer sees the features of all layers before it in its block.",
            "https://arxiv.org/abs/1608.06993", (None, 1664))
def DenseNet169(include_top: bool = True, weights: Any = "imagenet", input_tensor: Any = None, input_shape: Any = None,
                pooling: str | None = None, classes: int = 1000, classifier_activation: Any = "softmax",
                name: str = "densenet169") -> Model:
    return densenet(Options(include_top, weights, input_tensor, input_shape, pooling, classes, classifier_activation, name),
                    (6, 12, 32, 32), "densenet169")


@documented("DenseNet201, of 2017: each layer sees the features of all layers before it in its block.",
            "https://arxiv.org/abs/1608.06993", (None, 1920))
def DenseNet201(include_top: bool = True, weights: Any = "imagenet", input_tensor: Any = None, input_shape: Any = None,
                pooling: str | None = None, classes: int = 1000, classifier_activation: Any = "softmax",
                name: str = "densenet201") -> Model:
    return densenet(Options(include_top, weights, input_tensor, input_shape, pooling, classes, classifier_activation, name),
                    (6, 12, 48, 32), "densenet201")


def preprocess_input(x: Any, data_format: str | None = None) -> Any:
    """Images of 0..255 as this network expects them: of ImageNet's mean 0 and deviation 1.

    Source: https://keras.io/api/applications/
    """
    return imagenet_utils.preprocess_input(x, data_format, "torch")
