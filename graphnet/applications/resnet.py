"""ResNet50, ResNet101, ResNet152: residual blocks of three convolutions."""
from typing import Any

from graphnet.applications import imagenet_utils
from graphnet.applications.docs import documented
from graphnet.applications.imagenet_utils import decode_predictions as decode_predictions
from graphnet.applications.network import Options
from graphnet.applications.residual import resnet
from graphnet.models import Model


@documented("ResNet50, of 2015: residual blocks, each a convolution of 3 x 3 between two of 1 x 1.",
            "https://arxiv.org/abs/1512.03385", (None, 2048))
def ResNet50(include_top: bool = True, weights: Any = "imagenet", input_tensor: Any = None, input_shape: Any = None,
             pooling: str | None = None, classes: int = 1000, classifier_activation: Any = "softmax",
             name: str = "resnet50") -> Model:
    return resnet(Options(include_top, weights, input_tensor, input_shape, pooling, classes, classifier_activation, name),
                  (3, 4, 6, 3), "resnet50")


@documented("ResNet101, of 2015: residual blocks, each a convolution of 3 x 3 between two of 1 x 1.",
            "https://arxiv.org/abs/1512.03385", (None, 2048))
def ResNet101(include_top: bool = True, weights: Any = "imagenet", input_tensor: Any = None, input_shape: Any = None,
              pooling: str | None = None, classes: int = 1000, classifier_activation: Any = "softmax",
              name: str = "resnet101") -> Model:
    return resnet(Options(include_top, weights, input_tensor, input_shape, pooling, classes, classifier_activation, name),
                  (3, 4, 23, 3), "resnet101")


@documented("ResNet152, of 2015: residual blocks, each a convolution of 3 x 3 between two of 1 x 1.",
            "https://arxiv.org/abs/1512.03385", (None, 2048))
def ResNet152(include_top: bool = True, weights: Any = "imagenet", input_tensor: Any = None, input_shape: Any = None,
              pooling: str | None = None, classes: int = 1000, classifier_activation: Any = "softmax",
              name: str = "resnet152") -> Model:
    return resnet(Options(include_top, weights, input_tensor, input_shape, pooling, classes, classifier_activation, name),
                  (3, 8, 36, 3), "resnet152")


def preprocess_input(x: Any, data_format: str | None = None) -> Any:
    """Images of 0..255 as this network expects them: blue, green, red, less ImageNet's means.

    Source: https://keras.io/api/applications/
    """
    return imagenet_utils.preprocess_input(x, data_format, "caffe")
