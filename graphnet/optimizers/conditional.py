"""Changes that hold under a condition: within a graph nothing can branch on a value, so both states are kept and one chosen."""
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from graphnet import ops
from graphnet.graph import Tensor, Variable
from graphnet.ops.convert import assign_in_trace
from graphnet.ops.elementwise import Where
from graphnet.tracing import current


def truth(condition: Any) -> Any:
    """A condition as 1.0 or 0.0: in this form a choice joins the elementwise chains around it, which are of float32."""
    return ops.cast(condition, "float32")


def choose(mask: Any, yes: Any, no: Any) -> Any:
    """`yes` where `mask` is 1 or true, else `no`; both of one dtype."""
    return Where()(mask, yes, no)


@contextmanager
def only_if(condition: Any, variables: Sequence[Variable]) -> Iterator[None]:
    """What the block assigns to these variables holds if the condition, a scalar, is true; else they stay as they were."""
    before = [state(v) for v in variables]
    yield
    mask = truth(condition)
    for variable, old in zip(variables, before, strict=True):
        new = state(variable)
        if not (isinstance(new, Tensor) and new.key == old.key):
            assign_in_trace(variable, choose(mask if variable.dtype == "float32" else condition, new, old))


def state(variable: Variable) -> Any:
    """The value of a variable now, which stays what it is: a tensor within a trace, else a copy."""
    trace = current()
    return variable.value.copy() if trace is None else trace.lift(variable)
