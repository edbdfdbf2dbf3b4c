"""The step that summaries are recorded at where none is given."""
from typing import Any

from graphnet.summary import writer


def get_step() -> Any:
    """The default step, as it was set; None where there is none."""
    return writer.default_step.get()


def set_step(step: Any) -> None:
    """Sets the default step of this thread: a number, or a Variable, of which each record takes the value that it then has.

    Example:

        >>> import graphnet
        >>> graphnet.summary.experimental.set_step(3)
        >>> graphnet.summary.experimental.get_step()
        3
        >>> graphnet.summary.experimental.set_step(None)
    """
    writer.default_step.set(step)


__all__ = ["get_step", "set_step"]
