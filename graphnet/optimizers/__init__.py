"""Optimizers: what a training step does with gradients; and what their names in arguments and files mean."""
from typing import Any

from graphnet import identifiers, registry
from graphnet.optimizers import schedules as schedules
from graphnet.optimizers.adadelta import Adadelta as Adadelta
from graphnet.optimizers.adafactor import Adafactor as Adafactor
from graphnet.optimizers.adagrad import Adagrad as Adagrad
from graphnet.optimizers.adam import Adam as Adam
from graphnet.optimizers.adam import AdamW as AdamW
from graphnet.optimizers.adamax import Adamax as Adamax
from graphnet.optimizers.ftrl import Ftrl as Ftrl
from graphnet.optimizers.lamb import Lamb as Lamb
from graphnet.optimizers.lion import Lion as Lion
from graphnet.optimizers.loss_scale_optimizer import LossScaleOptimizer as LossScaleOptimizer
from graphnet.optimizers.multi_optimizer import MultiOptimizer as MultiOptimizer
from graphnet.optimizers.multi_optimizer import OptimizerMap as OptimizerMap
from graphnet.optimizers.muon import Muon as Muon
from graphnet.optimizers.nadam import Nadam as Nadam
from graphnet.optimizers.optimizer import Optimizer as Optimizer
from graphnet.optimizers.rmsprop import RMSprop as RMSprop
from graphnet.optimizers.schedule_free_adamw import ScheduleFreeAdamW as ScheduleFreeAdamW
from graphnet.optimizers.sgd import SGD as SGD

_KIND = "optimizers"


def get(identifier: Any) -> Any:
    """The optimizer that an identifier means: a name in any case, a config, an optimizer; None stays None.

    Raises ValueError, which lists the names, where there is none.

    Example:

        >>> from graphnet import optimizers
        >>> float(optimizers.get("RMSprop").rho)
        0.9
    """
    if isinstance(identifier, str) and identifiers.named(_KIND, _standard(identifier)) is not None:
        identifier = {"class_name": identifier, "config": {}}
    found = deserialize(identifier) if isinstance(identifier, dict) else identifier
    if found is None or isinstance(found, Optimizer):
        return found
    names = registry.names_of(_KIND)
    near = identifiers.did_you_mean(found, names) if isinstance(found, str) else ""
    near = f" Make an object of it: {found.__name__}()." if isinstance(found, type) else near
    raise ValueError(f"Expected an optimizer, the name of one or its config; received {found!r}.{near} "
                     f"Names: {', '.join(names)}.")


def _standard(name: str) -> str:
    """The spelling that the registry knows of a built-in optimizer's name, which may be in any case."""
    lower = name.lower()
    return lower if registry.find_builtin(_KIND, name) is None and registry.find_builtin(_KIND, lower) is not None else name


def serialize(optimizer: Any) -> Any:
    """What a file holds of an optimizer, without its state.

    Example:

        >>> from graphnet import optimizers
        >>> optimizers.serialize(optimizers.SGD(0.5))["config"]["learning_rate"]
        0.5
    """
    return identifiers.serialize(_KIND, optimizer)


def deserialize(config: Any, custom_objects: dict[str, Any] | None = None) -> Any:
    """The optimizer that a file means.

    Example:

        >>> from graphnet import optimizers
        >>> optimizers.deserialize({"class_name": "SGD", "config": {"momentum": 0.5}}).momentum
        0.5
    """
    if isinstance(config, dict) and isinstance(config.get("class_name"), str):
        config = config | {"class_name": _standard(config["class_name"])}
    with registry.custom_object_scope(custom_objects or {}):
        return identifiers.deserialize(_KIND, config)


__all__ = [
    "Adadelta", "Adafactor", "Adagrad", "Adam", "AdamW", "Adamax", "Ftrl", "Lamb", "Lion", "LossScaleOptimizer",
    "MultiOptimizer", "Muon", "Nadam", "Optimizer", "OptimizerMap", "RMSprop", "SGD", "ScheduleFreeAdamW", "deserialize", "get",
    "schedules", "serialize",
]
