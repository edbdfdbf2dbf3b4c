"""Traced functions: `graphnet.function`, its signatures and its graphs."""

from graphnet.functions.concrete import ConcreteFunction as ConcreteFunction
from graphnet.functions.function import Function as Function
from graphnet.functions.function import function as function
from graphnet.functions.signature import TensorSpec as TensorSpec

__all__ = ["ConcreteFunction", "Function", "TensorSpec", "function"]
