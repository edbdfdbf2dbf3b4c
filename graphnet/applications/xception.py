"""Xception: depthwise separable convolutions with residuals."""
from typing import Any

from graphnet import layers
from graphnet.applications import imagenet_utils
from graphnet.applications.docs import documented
from graphnet.applications.imagenet_utils import decode_predictions as decode_predictions
from graphnet.applications.network import Options, build, channel_axis
from graphnet.models import Model


def _normal(x: Any, name: str | None = None) -> Any:
    return layers.BatchNormalization(axis=channel_axis(), name=name)(x)


def _separable(x: Any, filters: int, name: str) -> Any:
    return _normal(layers.SeparableConv2D(filters, (3, 3), padding="same", use_bias=False, name=name)(x), f"{name}_bn")


def _active(x: Any, name: str) -> Any:
    return layers.Activation("relu", name=f"{name}_act")(x)


def _shrinking(x: Any, block: int, filters: tuple[int, int]) -> Any:
    """Two separable convolutions and a pooling, beside one strided convolution."""
    residual = _normal(layers.Conv2D(filters[1], (1, 1), strides=(2, 2), padding="same", use_bias=False)(x))
    for i, count in enumerate(filters, 1):
        if block > 2 or i > 1:
            x = _active(x, f"block{block}_sepconv{i}")
        x = _separable(x, count, f"block{block}_sepconv{i}")
    x = layers.MaxPooling2D((3, 3), strides=(2, 2), padding="same", name=f"block{block}_pool")(x)
    return layers.add([x, residual])


def _features(x: Any) -> Any:
    x = layers.Conv2D(32, (3, 3), strides=(2, 2), use_bias=False, name="block1_conv1")(x)
    x = _active(_normal(x, "block1_conv1_bn"), "block1_conv1")
    x = layers.Conv2D(64, (3, 3), use_bias=False, name="block1_conv2")(x)
    x = _active(_normal(x, "block1_conv2_bn"), "block1_conv2")
    for block, filters in ((2, 128), (3, 256), (4, 728)):
        x = _shrinking(x, block, (filters, filters))
    for block in range(5, 13):
        residual = x
        for i in range(1, 4):
            x = _separable(_active(x, f"block{block}_sepconv{i}"), 728, f"block{block}_sepconv{i}")
        x = layers.add([x, residual])
    x = _shrinking(x, 13, (728, 1024))
    for i, filters in ((1, 1536), (2, 2048)):
        x = _active(_separable(x, filters, f"block14_sepconv{i}"), f"block14_sepconv{i}")
    return x


def xception(options: Options) -> Model:
    options.check()
    return build(options, options.shape(299, 71), _features,
                 lambda top: f"xception/xception_weights_tf_dim_ordering_tf_kernels{'' if top else '_notop'}.h5",
                 pool_names=(None, None))


@documented("Xception, of 2017: depthwise separable convolutions with residuals; images of 299 x 299.",
            "https://arxiv.org/abs/1610.02357", (None, 2048))
def Xception(include_top: bool = True, weights: Any = "imagenet", input_tensor: Any = None, input_shape: Any = None,
             pooling: str | None = None, classes: int = 1000, classifier_activation: Any = "softmax",
             name: str = "xception") -> Model:
    return xception(Options(include_top, weights, input_tensor, input_shape, pooling, classes, classifier_activation, name))


def preprocess_input(x: Any, data_format: str | None = None) -> Any:
    """Images of 0..255 as this network expects them: between -1 and 1. Source: https://keras.io/api/applications/"""
    return imagenet_utils.preprocess_input(x, data_format, "tf")
