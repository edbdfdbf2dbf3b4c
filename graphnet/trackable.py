"""Trackable: an object whose attributes have names in checkpoints, and wait for what a checkpoint holds for them."""
from typing import Any


class Trackable:
    """Base of what checkpoints go through: modules, and checkpoints themselves.

    Where a checkpoint was restored before some of an object's parts were made, the object keeps what is still to come under
    ``_untracked_pending``, and `resume` gives it out as attributes are set.
    """

    def _named_parts(self) -> dict[str, Any]:
        """What checkpoints find below this object, under the names that they write; what is no part of a model may be among
        it."""
        return {name: value for name, value in vars(self).items() if not name.startswith("_untracked")}

    def __setattr__(self, name: str, value: Any) -> None:
        object.__setattr__(self, name, value)
        if "_untracked_pending" in self.__dict__:
            resume(self)


def resume(owner: Trackable) -> None:
    """Gives parts that were made after a checkpoint was restored the values that it holds for them."""
    pending = owner.__dict__.get("_untracked_pending")
    if pending is not None:
        pending.resume(owner)
