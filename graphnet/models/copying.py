"""Copies of models: `copy.deepcopy` and pickle take the configuration and the weights, as in Keras; calls made on a model stay with it."""
from typing import Any

from graphnet.layers.layer import Layer


def reduced(model: Any) -> tuple[Any, ...]:
    """What pickle keeps of a functional or Sequential model: its class, configuration, the user's own classes in it, and all weights."""
    own = {type(m).__name__: type(m) for m in model.submodules if isinstance(m, Layer) and not type(m).__module__.startswith("graphnet.")}
    return revived, (model._own_class(), model.get_config(), own, model.get_weights())


def revived(kind: Any, config: Any, own: dict[str, type], weights: list[Any]) -> Any:
    """The model from what `reduced` kept."""
    model = kind.from_config(config, custom_objects=own)
    if weights:
        model.set_weights(weights)
    return model
