"""VGG19: 19 layers with weights, of 3 x 3 convolutions and three dense ones."""
from typing import Any

from graphnet.applications import imagenet_utils
from graphnet.applications.docs import documented
from graphnet.applications.imagenet_utils import decode_predictions as decode_predictions
from graphnet.applications.network import Options
from graphnet.applications.vgg import vgg
from graphnet.models import Model


@documented("VGG19, of 2014: 16 convolutions of 3 x 3 and three dense layers.", "https://arxiv.org/abs/1409.1556", (None, 512))
def VGG19(include_top: bool = True, weights: Any = "imagenet", input_tensor: Any = None, input_shape: Any = None,
          pooling: str | None = None, classes: int = 1000, classifier_activation: Any = "softmax",
          name: str = "vgg19") -> Model:
    return vgg(Options(include_top, weights, input_tensor, input_shape, pooling, classes, classifier_activation, name),
               (2, 2, 4, 4, 4))


def preprocess_input(x: Any, data_format: str | None = None) -> Any:
    """Images of 0..255 as this network expects them: blue, green, red, less ImageNet's means.

    Source: https://keras.io/api/applications/
    """
    return imagenet_utils.preprocess_input(x, data_format, "caffe")
