"""Layers that stand in several nested models: one object in configurations, told by `shared_object_id`."""
import contextvars
import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from graphnet.module import Module

ADDRESSES = 1 << 20  # Keras 3 numbers objects by their addresses, and not in the first configuration of each
_made: contextvars.ContextVar[dict[Any, Any] | None] = contextvars.ContextVar("graphnet_made", default=None)
_numbers: contextvars.ContextVar[dict[int, int] | None] = contextvars.ContextVar("graphnet_numbers", default=None)


@contextmanager
def sharing() -> Iterator[None]:
    """While objects are made in this context, configurations with one number are one object."""
    made = _made.get()
    token = _made.set({} if made is None else made)
    try:
        yield
    finally:
        _made.reset(token)


def once(config: Mapping[str, Any], make: Callable[[], Any]) -> Any:
    """The object of a configuration's number, made the first time.

    Where only later ones are numbered, that of the equal configuration before.
    """
    made, number = _made.get(), config.get("shared_object_id")
    if made is None:
        return make()
    if number in made:
        return made[number]
    text = config["class_name"] + json.dumps(_without_numbers(config.get("config")), sort_keys=True, default=str)
    result = made[text] if number is not None and number >= ADDRESSES and text in made else make()
    made.setdefault(text, result)
    if number is not None:
        made[number] = result
    return result


def _without_numbers(value: Any) -> Any:
    if value is None or isinstance(value, (str, int, float)):  # most of all; asking whether it is a Mapping takes longer
        return value
    if isinstance(value, Mapping):
        return {k: _without_numbers(v) for k, v in value.items() if k != "shared_object_id"}
    return [_without_numbers(v) for v in value] if isinstance(value, (list, tuple)) else value


@contextmanager
def numbering(top: Module) -> Iterator[None]:
    """While a layer or model is written in this context, what stands in several places below it has a number."""
    numbers = _numbers.get()
    if numbers is None:
        places: dict[int, int] = {}
        for module in (top, *top.submodules):
            for child in module._children():
                places[id(child)] = places.get(id(child), 0) + 1
        numbers = {key: number for number, key in enumerate((k for k, count in places.items() if count > 1), 1)}
    token = _numbers.set(numbers)
    try:
        yield
    finally:
        _numbers.reset(token)


def number_of(thing: Any) -> dict[str, int]:
    """What a configuration says of that: nothing for what stands in one place."""
    number = (_numbers.get() or {}).get(id(thing))
    return {} if number is None else {"shared_object_id": number}
