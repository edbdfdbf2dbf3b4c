"""Copies of models: `copy.deepcopy` and pickle take configuration, weights and what `compile` was given; calls made on a model
stay with it.
"""
from typing import Any

from graphnet.layers.layer import Layer


def reduced(model: Any) -> tuple[Any, ...]:
    """What pickle keeps of a functional or Sequential model: its class, configuration, the user's own classes in it, weights,
    training.
    """
    own = {type(m).__name__: type(m) for m in model.submodules if isinstance(m, Layer)
           and not type(m).__module__.startswith("graphnet.")}
    return revived, (model._own_class(), model.get_config(), own, model.get_weights(), _training(model))


def revived(kind: Any, config: Any, own: dict[str, type], weights: list[Any], training: Any = None) -> Any:
    """The model from what `reduced` kept."""
    model = kind.from_config(config, custom_objects=own)
    if weights:
        model.set_weights(weights)
    if training is not None:
        arguments, optimizer, values = training
        model.compile(**arguments, optimizer=None if optimizer is None else optimizer[0].from_config(optimizer[1]))
        if values:
            model._build_optimizer()
            for variable, value in zip(model.optimizer.variables, values, strict=True):
                variable.assign(value)
    return model


def _training(model: Any) -> Any:
    """The arguments of `compile`, with the optimizer's configuration and the values of its variables; None if it was not
    called.
    """
    if not model.compiled:
        return None
    arguments = {name: value for name, value in model._training_state.config.items() if name != "optimizer"}
    optimizer = model.optimizer
    values = [v.value.copy() for v in optimizer.variables] if optimizer is not None and optimizer.built else []
    return arguments, None if optimizer is None else (type(optimizer), optimizer.get_config()), values
