"""EinsumDense: a product with a kernel over labelled axes."""
import re
from typing import Any

from graphnet import activations, regularizers
from graphnet.errors import ShapeError
from graphnet.initializers import VarianceScaling
from graphnet.layers.arguments import WeightOptions
from graphnet.layers.input_spec import InputSpec
from graphnet.ops.einsum import einsum
from graphnet.ops.elementwise import add
from graphnet.registry import builtin

Shapes = tuple[tuple[Any, ...], tuple[Any, ...] | None, list[int], list[int]]
_FORM = re.compile(r"(\.\.\.)?([a-zA-Z]+)(\.\.\.)?,([a-zA-Z]+)->(\.\.\.)?([a-zA-Z]+)(\.\.\.)?")


def weight_shapes(equation: str, bias_axes: str | None, input_shape: Any, output_shape: Any, who: str) -> Shapes:
    """Shapes of kernel and bias (None without bias_axes), and the kernel's axes that are the input's alone, and the output's.

    `output_shape` is that of the output without the batch axis and without the axes that the dots stand for.
    """
    found = _FORM.fullmatch(equation.replace(" ", ""))
    if found is None or found[1] != found[5] or found[3] != found[7] or (found[1] and found[3]):
        raise ValueError(f"{who} expects an equation of the form ab,bc->ac, ...a,ab->...b or ab...,bc->ac...; received "
                         f"{equation!r}.")
    source, kernel, result = found[2], found[4], found[6]
    elided = len(input_shape) - len(source)
    if elided < 0 or (elided and not found[1] and not found[3]):
        raise ShapeError(f"{who} expects an input with ndim={len(source)} for {equation!r}; received shape "
                         f"{tuple(input_shape)}.")
    inputs = dict(zip(source, input_shape[elided:] if found[1] else input_shape, strict=False))
    full = [input_shape[0], *([*input_shape[1:elided], *output_shape] if found[1] else output_shape)]
    outputs = dict(zip(result, full[elided:] if found[1] else full, strict=False))
    if len(outputs) != len(result):
        raise ShapeError(f"{who} expects an output_shape of {len(result) - (0 if found[1] else 1)} extents for {equation!r}; "
                         f"received {tuple(output_shape)}.")
    for label in set(source) & set(result):
        if outputs[label] is not None and outputs[label] != inputs[label]:
            raise ShapeError(f"{who}: {label!r} of {equation!r} has extent {inputs[label]} in the input and {outputs[label]} "
                             "in output_shape.")
    known = set(source), set(kernel), set(result)
    missing = (known[1] - known[0] - known[2]) | (known[2] - known[0] - known[1]) | (set(bias_axes or "") - known[2])
    if missing:
        raise ValueError(f"{who}: the label(s) {', '.join(sorted(missing))} of {equation!r} (bias_axes {bias_axes!r}) have no "
                         "match in the other terms.")
    shape = tuple([outputs[c] if c in outputs else inputs[c] for c in kernel])
    own, out = ([i for i, c in enumerate(kernel) if (c in outputs) is known] for known in (False, True))
    if bias_axes is None:
        return shape, None, own, out
    first = min(result.index(c) for c in bias_axes)
    bias = [outputs[c] if c in bias_axes else 1 for c in result[first:]] + [1] * (elided if found[3] else 0)
    return shape, tuple(bias), own, out


@builtin("layers")
class EinsumDense(WeightOptions):
    """``activation(einsum(equation, inputs, kernel) + bias)``: a product with a kernel over labelled axes.

    Arguments: ``equation`` such as "abc,cd->abd", with "..." for further axes on one side; ``output_shape`` without the batch
    axis (None where the input tells); ``activation``; ``bias_axes`` labels of the output that the bias has. Raises ShapeError
    where extents differ.
    Source: https://keras.io/api/layers/core_layers/einsum_dense/

    Example:

        >>> import graphnet
        >>> graphnet.layers.EinsumDense("abc,cd->abd", output_shape=(None, 64), bias_axes="d")(graphnet.Input((32, 128))).shape
        (None, 32, 64)
    """

    kernel_initializer: Any
    kernel_regularizer: Any
    kernel_constraint: Any

    def __init__(self, equation: str, output_shape: Any, activation: Any = None, bias_axes: str | None = None,
                 kernel_initializer: Any = "glorot_uniform", bias_initializer: Any = "zeros", kernel_regularizer: Any = None,
                 bias_regularizer: Any = None, kernel_constraint: Any = None, bias_constraint: Any = None,
                 lora_rank: int | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if lora_rank is not None:
            raise ValueError("EinsumDense expects lora_rank=None: graphnet does not train low-rank adapters; received "
                             f"{lora_rank}.")
        self.equation, self.bias_axes, self.activation = equation, bias_axes, activations.get(activation)
        self.partial_output_shape = (output_shape,) if isinstance(output_shape, int) else tuple(output_shape)
        self._take_options(locals(), "kernel", "bias")
        self.kernel: Any = None
        self.bias: Any = None

    def build(self, input_shape: Any) -> None:
        who = f"Layer {self.name!r} (EinsumDense)"
        shape, bias, own, out = weight_shapes(self.equation, self.bias_axes, input_shape, self.partial_output_shape, who)
        initializer = self.kernel_initializer
        if isinstance(initializer, VarianceScaling) and initializer.input_axes is None:
            initializer = type(initializer).from_config({**initializer.get_config(), "seed": initializer.seed,
                                                         "input_axes": own,
                                                         "output_axes": out})
        self.kernel = self.add_weight(shape, initializer, name="kernel", regularizer=self.kernel_regularizer,
                                      constraint=self.kernel_constraint)
        if bias is not None:
            self.bias = self._make_weight("bias", bias)
        self.input_spec = InputSpec(ndim=len(input_shape))

    def call(self, inputs: Any) -> Any:
        x = einsum(self.equation, inputs, self.kernel)
        return self.activation(x if self.bias is None else add(x, self.bias))

    def get_config(self) -> dict[str, Any]:
        options = self._options_config("kernel", "bias")
        limits = {name: options.pop(name) for name in ("kernel_constraint", "bias_constraint")}
        return {
            **super().get_config(), "output_shape": self.partial_output_shape, "equation": self.equation,
            "activation": activations.serialize(self.activation), "bias_axes": self.bias_axes, **options,
            "activity_regularizer": regularizers.serialize(self.activity_regularizer), **limits,
        }
