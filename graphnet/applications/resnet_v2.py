"""ResNet50V2, ResNet101V2, ResNet152V2: residual blocks that normalize before they convolve."""
from typing import Any

from graphnet.applications import imagenet_utils
from graphnet.applications.docs import documented
from graphnet.applications.imagenet_utils import decode_predictions as decode_predictions
from graphnet.applications.network import Options
from graphnet.applications.residual import resnet
from graphnet.models import Model


@documented("ResNet50V2, of 2016: residual blocks that normalize before each convolution.", "https://arxiv.org/abs/1603.05027",
            (None, 2048))
def ResNet50V2(include_top: bool = True, weights: Any = "imagenet", input_tensor: Any = None, input_shape: Any = None,
               pooling: str | None = None, classes: int = 1000, classifier_activation: Any = "softmax",
               name: str = "resnet50v2") -> Model:
    return resnet(Options(include_top, weights, input_tensor, input_shape, pooling, classes, classifier_activation, name),
                  (3, 4, 6, 3), "resnet50v2", before=True)


@documented("ResNet101V2, of 2016: residual blocks that normalize before each convolution.", "https://arxiv.org/abs/1603.05027",
            (None, 2048))
def ResNet101V2(include_top: bool = True, weights: Any = "imagenet", input_tensor: Any = None, input_shape: Any = None,
                pooling: str | None = None, classes: int = 1000, classifier_activation: Any = "softmax",
                name: str = "resnet101v2") -> Model:
    return resnet(Options(include_top, weights, input_tensor, input_shape, pooling, classes, classifier_activation, name),
                  (3, 4, 23, 3), "resnet101v2", before=True)


@documented("ResNet152V2, of 2016: residual blocks that normalize before each convolution.", "https://arxiv.org/abs/1603.05027",
            (None, 2048))
def ResNet152V2(include_top: bool = True, weights: Any = "imagenet", input_tensor: Any = None, input_shape: Any = None,
                pooling: str | None = None, classes: int = 1000, classifier_activation: Any = "softmax",
                name: str = "resnet152v2") -> Model:
    return resnet(Options(include_top, weights, input_tensor, input_shape, pooling, classes, classifier_activation, name),
                  (3, 8, 36, 3), "resnet152v2", before=True)


def preprocess_input(x: Any, data_format: str | None = None) -> Any:
    """Images of 0..255 as this network expects them: between -1 and 1. Source: https://keras.io/api/applications/"""
    return imagenet_utils.preprocess_input(x, data_format, "tf")
