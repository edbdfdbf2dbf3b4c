"""What SimpleRNNCell, GRUCell and LSTMCell share: weights, states, dropout, and the op of a whole sequence."""
from collections.abc import Callable, Sequence
from typing import Any, ClassVar

from graphnet import activations, random
from graphnet.layers.arguments import WeightOptions
from graphnet.layers.rnn.sequence import Walk
from graphnet.ops.convert import cast, shape
from graphnet.ops.creation import ones, zeros
from graphnet.ops.elementwise import multiply
from graphnet.ops.recurrent import ACTIVATIONS, Recurrence

ROLES = ("kernel", "recurrent", "bias")


def op_name(function: Callable[..., Any]) -> str | None:
    """The name that the recurrent ops know an activation by, or None."""
    try:
        name = activations.serialize(function)
    except ValueError:
        return None
    return name if isinstance(name, str) and name in ACTIVATIONS else None


def between(rate: float) -> float:
    """A dropout rate, held between 0 and 1."""
    return min(1.0, max(0.0, rate))


class RecurrentCell(WeightOptions):
    """Base of the cells: ``step(inputs, states, noise)`` computes one step, ``op_kind`` all of them at once."""

    functions: ClassVar[tuple[str, ...]] = ("activation",)  # names of the arguments that are activations
    op_kind: ClassVar[type[Recurrence]]
    state_count: ClassVar[int] = 1
    activation: Any
    recurrent_activation: Any
    bias_initializer: Any
    bias_regularizer: Any
    bias_constraint: Any

    def _take(self, options: dict[str, Any]) -> None:
        """Sets the attributes that the cells have in common, from the constructor's arguments."""
        units = options["units"]
        if not isinstance(units, int) or units <= 0:
            raise ValueError(f"{type(self).__name__} expects units to be a positive whole number; received units={units!r}.")
        self.units, self.use_bias, self.seed = units, options["use_bias"], options["seed"]
        for name in self.functions:
            setattr(self, name, activations.get(options[name]))
        self._take_options(options, *ROLES)
        self.dropout, self.recurrent_dropout = between(options["dropout"]), between(options["recurrent_dropout"])
        if self.dropout or self.recurrent_dropout:
            self.seed_generator = random.SeedGenerator(self.seed)
        self.state_size: Any = units if self.state_count == 1 else [units] * self.state_count
        self.output_size = units
        self.kernel: Any = None
        self.recurrent_kernel: Any = None
        self.bias: Any = None

    def bias_shape(self, columns: int) -> tuple[int, ...]:
        return (columns,)

    def _bias_start(self) -> Any:
        """The initializer of the bias."""
        return self.bias_initializer

    def build(self, input_shape: Any) -> None:
        columns = self.op_kind.gates * self.units  # type: ignore[attr-defined]
        self.kernel = self._make_weight("kernel", (input_shape[-1], columns))
        self.recurrent_kernel = self._make_weight("recurrent", (self.units, columns), name="recurrent_kernel")
        if self.use_bias:
            self.bias = self.add_weight(self.bias_shape(columns), self._bias_start(), name="bias",
                                        regularizer=self.bias_regularizer,
                                        constraint=self.bias_constraint)

    def get_initial_state(self, batch_size: Any = None) -> list[Any]:
        """Zeros, for that many samples."""
        return [zeros((batch_size, self.units), self.dtype) for _ in range(self.state_count)]

    # ---- one step

    def step(self, inputs: Any, states: Sequence[Any], noise: Any) -> tuple[Any, list[Any]]:
        """(output, new states); `noise` is a pair of factors of inputs and state, each possibly None."""
        raise NotImplementedError

    def draw_noise(self, inputs: Any, states: Any, training: Any) -> tuple[Any, Any] | None:
        """The factors of inputs and state that dropout draws, for all steps of a sequence; None where it draws none."""
        if not training or not (0 < self.dropout < 1 or 0 < self.recurrent_dropout < 1):
            return None
        batch, features = shape(inputs)
        return self._factors((batch, features), self.dropout), self._factors((batch, self.units), self.recurrent_dropout)

    def _factors(self, extents: tuple[Any, ...], rate: float) -> Any:
        return random.dropout(ones(extents, self.dtype), rate, seed=self.seed_generator) if 0 < rate < 1 else None

    def call(self, inputs: Any, states: Any, training: Any = False) -> tuple[Any, Any]:
        several = isinstance(states, (list, tuple))
        given = list(states) if several else [states]
        output, new = self.step(inputs, given, self.draw_noise(inputs, given, training) or (None, None))
        return output, new if several else new[0]

    # ---- all steps

    def whole(self, x: Any, states: list[Any] | None, mask: Any, walk: Walk) -> tuple[Any, list[Any]]:
        """The result of a whole sequence, by one op."""
        if walk.training and 0 < self.dropout < 1:
            batch, _, features = shape(x)
            x = multiply(x, self._factors((batch, 1, features), self.dropout))
        return self._run_op(x, states, self._state_noise(x, walk), mask, walk)

    def _state_noise(self, x: Any, walk: Walk) -> Any:
        """The factors of recurrent dropout in training, else None."""
        return self._factors(self._state_extents(x), self.recurrent_dropout) if walk.training else None

    def _state_extents(self, x: Any) -> tuple[Any, ...]:
        """The shape of a state, for sequences x."""
        return shape(x)[0], self.units

    def has_op(self) -> bool:
        """Whether one op does the whole sequence: not for activations of one's own."""
        return all(op_name(getattr(self, name)) is not None for name in self.functions)

    def _run_op(self, x: Any, states: list[Any] | None, noise: Any, mask: Any, walk: Walk) -> tuple[Any, list[Any]]:
        names = {name: op_name(getattr(self, name)) for name in self.functions}
        op = self.op_kind(return_sequences=walk.return_sequences, go_backwards=walk.go_backwards, masked=mask is not None,
                          zero_output_for_mask=walk.zero_output_for_mask, biased=self.bias is not None,
                          initial=states is not None, noisy=noise is not None, saves=walk.training, **names,
                          **self._op_fields())
        optional = [self.bias] if self.bias is not None else []
        optional += [cast(s, self.dtype) for s in states] if states is not None else []
        optional += [noise] if noise is not None else []
        y, *finals = op(x, self.kernel, self.recurrent_kernel, *optional, *([cast(mask, "bool")] if mask is not None else []))
        return y, finals[:self.state_count]

    def _op_fields(self) -> dict[str, Any]:
        return {}

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(), "units": self.units,
            **{name: activations.serialize(getattr(self, name)) for name in self.functions},
            "use_bias": self.use_bias, **self._options_config(*ROLES), "dropout": self.dropout,
            "recurrent_dropout": self.recurrent_dropout, "seed": self.seed,
        }


def times(x: Any, factors: Any) -> Any:
    """x with its dropout, if there is one."""
    return x if factors is None else multiply(x, factors)
