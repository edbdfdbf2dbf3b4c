"""MobileNet: depthwise convolutions and ones of 1 x 1 in turn."""
import warnings
from typing import Any

from graphnet import config, layers
from graphnet.applications import imagenet_utils
from graphnet.applications.docs import documented
from graphnet.applications.imagenet_utils import decode_predictions as decode_predictions
from graphnet.applications.network import Options, build, channel_axis
from graphnet.models import Model

SIZES = (128, 160, 192, 224)
BLOCKS = ((64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2), *[(512, 1)] * 5, (1024, 2), (1024, 1))  # filters, stride


def square_of(given: Any, sizes: tuple[int, ...]) -> int:
    """The side of a square image of one of those sizes, else 224: that of the trained weights."""
    if given is None:
        return 224
    rows, columns = tuple(given)[1:] if config.image_data_format() == "channels_first" else tuple(given)[:2]
    return int(rows) if rows == columns and rows in sizes else 224


def rows_of(options: Options, shape: Any, sizes: tuple[int, ...]) -> Any:
    """The image's height, which names the network and its file; there are trained weights for some, else those for 224 are
    taken, with a warning.
    """
    rows, columns = shape[1:] if config.image_data_format() == "channels_first" else shape[:2]
    if options.weights == "imagenet" and (rows != columns or rows not in sizes):
        warnings.warn(f"{options.name}: there are trained weights for square images of {', '.join(map(str, sizes))}; those for "
                      f"224 are taken for input_shape={shape}.", stacklevel=3)
        return 224
    return rows


def _active(x: Any, name: str) -> Any:
    x = layers.BatchNormalization(axis=channel_axis(), name=f"{name}_bn")(x)
    return layers.ReLU(6.0, name=f"{name}_relu")(x)


@documented("MobileNet, of 2017: depthwise convolutions of 3 x 3 and convolutions of 1 x 1 in turn.",
            "https://arxiv.org/abs/1704.04861", (None, 1024),
            first=" ``input_shape``, ``alpha`` (factor of all numbers of filters), ``depth_multiplier``, ``dropout`` (before "
            "the classifier),")
def MobileNet(input_shape: Any = None, alpha: float = 1.0, depth_multiplier: int = 1, dropout: float = 1e-3,
              include_top: bool = True, weights: Any = "imagenet", input_tensor: Any = None, pooling: str | None = None,
              classes: int = 1000, classifier_activation: Any = "softmax", name: str | None = None) -> Model:
    options = Options(include_top, weights, input_tensor, input_shape, pooling, classes, classifier_activation,
                      name or "mobilenet")
    options.check()
    shape = options.shape(square_of(input_shape, SIZES), 32)
    if weights == "imagenet" and (depth_multiplier != 1 or alpha not in (0.25, 0.5, 0.75, 1.0)):
        raise ValueError(f"{options.name} expects depth_multiplier=1 and alpha to be 0.25, 0.5, 0.75 or 1.0 with "
                         f"weights='imagenet'; received depth_multiplier={depth_multiplier}, alpha={alpha}.")
    rows = rows_of(options, shape, SIZES)

    def features(x: Any) -> Any:
        x = layers.Conv2D(int(32 * alpha), (3, 3), padding="same", use_bias=False, strides=(2, 2), name="conv1")(x)
        x = _active(x, "conv1")
        for i, (filters, stride) in enumerate(BLOCKS, 1):
            if stride == 2:
                x = layers.ZeroPadding2D(((0, 1), (0, 1)), name=f"conv_pad_{i}")(x)
            x = layers.DepthwiseConv2D((3, 3), padding="same" if stride == 1 else "valid", depth_multiplier=depth_multiplier,
                                       strides=stride, use_bias=False, name=f"conv_dw_{i}")(x)
            x = layers.Conv2D(int(filters * alpha), (1, 1), padding="same", use_bias=False,
                              name=f"conv_pw_{i}")(_active(x, f"conv_dw_{i}"))
            x = _active(x, f"conv_pw_{i}")
        return x

    def predictions(x: Any) -> Any:
        x = layers.GlobalAveragePooling2D(keepdims=True)(x)
        x = layers.Dropout(dropout, name="dropout")(x)
        x = layers.Conv2D(classes, (1, 1), padding="same", name="conv_preds")(x)
        x = layers.Reshape((classes,), name="reshape_2")(x)
        return layers.Activation(classifier_activation, name="predictions")(x)

    text = {1.0: "1_0", 0.75: "7_5", 0.5: "5_0"}.get(alpha, "2_5")
    options = Options(include_top, weights, input_tensor, input_shape, pooling, classes, classifier_activation,
                      name or f"mobilenet_{alpha:0.2f}_{rows}")
    return build(options, shape, features, lambda top: f"mobilenet/mobilenet_{text}_{rows}_tf{'' if top else '_no_top'}.h5",
                 pool_names=(None, None), predictions=predictions)


def preprocess_input(x: Any, data_format: str | None = None) -> Any:
    """Images of 0..255 as this network expects them: between -1 and 1. Source: https://keras.io/api/applications/"""
    return imagenet_utils.preprocess_input(x, data_format, "tf")
