"""What all networks share: arguments and their checks, the input, the head, the weights."""
import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from graphnet import activations, config, layers
from graphnet.applications.imagenet_utils import cached
from graphnet.graph import Tensor, reach
from graphnet.models import Model

STORE = "https://storage.googleapis.com/tensorflow/keras-applications"


def channel_axis() -> int:
    return -1 if config.image_data_format() == "channels_last" else 1


def average_head(x: Any) -> Any:
    """What most networks have between features and predictions."""
    return layers.GlobalAveragePooling2D(name="avg_pool")(x)


@dataclass(frozen=True)
class Options:
    """The arguments that every network takes."""

    include_top: bool
    weights: Any
    input_tensor: Any
    input_shape: Any
    pooling: str | None
    classes: int
    classifier_activation: Any
    name: str

    def check(self) -> None:
        """Raises ValueError before anything is built."""
        if self.weights not in (None, "imagenet") and not os.path.exists(self.weights):
            raise ValueError(f"{self.name} expects weights to be None, 'imagenet' or the path of a file; received "
                             f"{self.weights!r}, which does not exist.")
        if self.weights == "imagenet" and self.include_top and self.classes != 1000:
            raise ValueError(f"{self.name} expects classes=1000 with weights='imagenet' and include_top=True; received "
                             f"classes={self.classes}.")
        if self.pooling not in (None, "avg", "max"):
            raise ValueError(f"{self.name} expects pooling to be None, 'avg' or 'max'; received {self.pooling!r}.")
        if self.include_top and self.weights is not None and activations.get(self.classifier_activation) not in (
                activations.linear, activations.softmax):
            raise ValueError(f"{self.name} expects classifier_activation to be None or 'softmax' with trained weights; "
                             f"received {self.classifier_activation!r}.")
        if self.input_tensor is not None and type(self.input_tensor) is not Tensor:
            raise TypeError(f"{self.name} expects input_tensor to be a symbolic tensor, as graphnet.Input gives; received "
                            f"{type(self.input_tensor).__name__}.")

    def shape(self, size: int, smallest: int) -> tuple[int | None, ...]:
        """The input's shape without the batch axis, checked."""
        first = config.image_data_format() == "channels_first"
        given = None if self.input_shape is None else tuple(self.input_shape)
        if given is not None and len(given) != 3:
            raise ValueError(f"{self.name} expects input_shape to have three extents; received {given}.")
        channels = 3 if given is None or self.weights == "imagenet" else given[0 if first else -1]
        usual = (channels, size, size) if first else (size, size, channels)
        if self.weights == "imagenet" and self.include_top:
            if given not in (None, usual):
                raise ValueError(f"{self.name} expects input_shape={usual} with weights='imagenet' and include_top=True; "
                                 f"received {given}.")
            return usual
        if given is None:
            return usual if self.include_top else (3, None, None) if first else (None, None, 3)
        if given[0 if first else -1] != channels:
            raise ValueError(f"{self.name} expects an input of 3 channels with weights='imagenet'; received "
                             f"input_shape={given}.")
        if any(s is not None and s < smallest for s in (given[1:] if first else given[:-1])):
            raise ValueError(f"{self.name} expects an input of at least {smallest} x {smallest}; received input_shape={given}.")
        if self.include_top and None in given:
            raise ValueError(f"{self.name} expects known extents with include_top=True; received input_shape={given}.")
        return given


def build(options: Options, shape: tuple[int | None, ...], features: Callable[[Any], Any], file: Callable[[bool], str],
          head: Callable[[Any], Any] = average_head, pool_names: tuple[str | None, str | None] = ("avg_pool", "max_pool"),
          predictions: Callable[[Any], Any] | None = None) -> Model:
    """The network: features of the image, then the head and its classes, or a pooling, or nothing; with its weights.

    `file` gives the address of the trained weights below Keras's store, with the top or without.
    """
    image = layers.Input(shape=shape) if options.input_tensor is None else options.input_tensor
    x = features(image)
    if options.include_top and predictions is not None:
        x = predictions(x)
    elif options.include_top:
        x = layers.Dense(options.classes, activation=options.classifier_activation, name="predictions")(head(x))
    elif options.pooling == "avg":
        x = layers.GlobalAveragePooling2D(name=pool_names[0])(x)
    elif options.pooling == "max":
        x = layers.GlobalMaxPooling2D(name=pool_names[1])(x)
    model = Model(image if options.input_tensor is None else sources(image), x, name=options.name)
    if options.weights == "imagenet":
        address = f"{STORE}/{file(options.include_top)}"
        model.load_weights(cached(address.rsplit("/", 1)[1], address, f"{options.name}: weights='imagenet'"))
    elif options.weights is not None:
        model.load_weights(options.weights)
    return model


def sources(tensor: Tensor) -> Any:
    """The inputs that a tensor is computed from; one alone as itself."""
    found = [Tensor(node) for node in reach([tensor]) if not node.inputs]
    return found[0] if len(found) == 1 else found
