"""MobileNetV2: residual blocks that widen, convolve each channel by itself, and narrow."""
from typing import Any

from graphnet import config, layers
from graphnet.applications import imagenet_utils
from graphnet.applications.docs import documented
from graphnet.applications.imagenet_utils import decode_predictions as decode_predictions
from graphnet.applications.mobilenet import rows_of, square_of
from graphnet.applications.network import Options, build, channel_axis
from graphnet.models import Model

SIZES = (96, 128, 160, 192, 224)
ALPHAS = (0.35, 0.5, 0.75, 1.0, 1.3, 1.4)
# filters, stride; all but the first block widen their input sixfold
BLOCKS = ((16, 1), (24, 2), (24, 1), (32, 2), (32, 1), (32, 1), (64, 2), *[(64, 1)] * 3, *[(96, 1)] * 3, (160, 2), (160, 1),
          (160, 1), (320, 1))


def divisible(value: float, by: int = 8) -> int:
    """The multiple of `by` nearest to a number of filters, and not more than a tenth below it."""
    nearest = max(by, int(value + by / 2) // by * by)
    return nearest + by if nearest < 0.9 * value else nearest


def _normal(x: Any, name: str) -> Any:
    return layers.BatchNormalization(axis=channel_axis(), epsilon=1e-3, momentum=0.999, name=name)(x)


def _margins(x: Any) -> tuple[tuple[int, int], tuple[int, int]]:
    """Zeros around an image for a strided window of 3 x 3, so that the output's extent is half the input's, rounded up."""
    rows, columns = x.shape[2:4] if config.image_data_format() == "channels_first" else x.shape[1:3]
    return (0 if rows is None else rows % 2, 1), (0 if rows is None else columns % 2, 1)


def _block(x: Any, filters: int, stride: int, block: int) -> Any:
    source, channels = x, x.shape[channel_axis()]
    name = f"block_{block}_" if block else "expanded_conv_"
    if block:
        x = layers.Conv2D(6 * channels, 1, padding="same", use_bias=False, name=f"{name}expand")(x)
        x = layers.ReLU(6.0, name=f"{name}expand_relu")(_normal(x, f"{name}expand_BN"))
    if stride == 2:
        x = layers.ZeroPadding2D(_margins(x), name=f"{name}pad")(x)
    x = layers.DepthwiseConv2D(3, strides=stride, use_bias=False, padding="same" if stride == 1 else "valid",
                               name=f"{name}depthwise")(x)
    x = layers.ReLU(6.0, name=f"{name}depthwise_relu")(_normal(x, f"{name}depthwise_BN"))
    x = _normal(layers.Conv2D(filters, 1, padding="same", use_bias=False, name=f"{name}project")(x), f"{name}project_BN")
    return layers.Add(name=f"{name}add")([source, x]) if channels == filters and stride == 1 else x


@documented("MobileNetV2, of 2018: residual blocks that widen, convolve each channel by itself, and narrow.",
            "https://arxiv.org/abs/1801.04381", (None, 1280),
            first=" ``input_shape``, ``alpha`` (factor of all numbers of filters),")
def MobileNetV2(input_shape: Any = None, alpha: float = 1.0, include_top: bool = True, weights: Any = "imagenet",
                input_tensor: Any = None, pooling: str | None = None, classes: int = 1000,
                classifier_activation: Any = "softmax", name: str | None = None) -> Model:
    options = Options(include_top, weights, input_tensor, input_shape, pooling, classes, classifier_activation,
                      name or "mobilenetv2")
    options.check()
    known = input_tensor.shape[1:] if input_shape is None and input_tensor is not None else input_shape
    shape = options.shape(square_of(known, SIZES), 32)
    if weights == "imagenet" and alpha not in ALPHAS:
        raise ValueError(f"{options.name} expects alpha to be one of {ALPHAS} with weights='imagenet'; received alpha={alpha}.")
    rows = rows_of(options, shape, SIZES)

    def features(x: Any) -> Any:
        x = layers.Conv2D(divisible(32 * alpha), kernel_size=3, strides=(2, 2), padding="same", use_bias=False, name="Conv1")(x)
        x = layers.ReLU(6.0, name="Conv1_relu")(_normal(x, "bn_Conv1"))
        for block, (filters, stride) in enumerate(BLOCKS):
            x = _block(x, divisible(int(filters * alpha)), stride, block)
        x = layers.Conv2D(divisible(1280 * alpha) if alpha > 1.0 else 1280, kernel_size=1, use_bias=False, name="Conv_1")(x)
        return layers.ReLU(6.0, name="out_relu")(_normal(x, "Conv_1_bn"))

    options = Options(include_top, weights, input_tensor, input_shape, pooling, classes, classifier_activation,
                      name or f"mobilenetv2_{alpha:0.2f}_{rows}")
    file = f"mobilenet_v2/mobilenet_v2_weights_tf_dim_ordering_tf_kernels_{float(alpha)}_{rows}"
    return build(options, shape, features, lambda top: f"{file}{'' if top else '_no_top'}.h5",
                 head=lambda x: layers.GlobalAveragePooling2D()(x), pool_names=(None, None))


def preprocess_input(x: Any, data_format: str | None = None) -> Any:
    """Images of 0..255 as this network expects them: between -1 and 1. Source: https://keras.io/api/applications/"""
    return imagenet_utils.preprocess_input(x, data_format, "tf")
