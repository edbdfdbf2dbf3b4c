"""Optimizer: gradients in, variables changed. What all share: learning rate, clipping, decay, averages, accumulation, state."""
import inspect
import re
import warnings
from collections.abc import Iterable, Iterator, Mapping, MutableMapping, Sequence
from typing import Any

import numpy as np

from graphnet import initializers, ops
from graphnet.errors import GraphError, ShapeError
from graphnet.graph import Variable
from graphnet.module import Module
from graphnet.op import NAMES
from graphnet.ops.convert import assign_in_trace
from graphnet.optimizers import gradients, schedules
from graphnet.optimizers.conditional import choose, only_if, state, truth
from graphnet.trackable import resume

COMMON = ("weight_decay", "clipnorm", "global_clipnorm", "clipvalue", "use_ema", "ema_momentum", "ema_overwrite_frequency",
          "loss_scale_factor", "gradient_accumulation_steps")


class Optimizer(Module):
    """Base of optimizers. Source: https://keras.io/api/optimizers/

    All arithmetic is in ops, so that `apply` changes variables at once on arrays, and becomes part of the graph within a trace.
    A class of one's own defines ``build(variables)`` (makes its variables by `add_optimizer_variables`),
    ``update_step(gradient, variable, learning_rate)`` (changes by `assign`) and ``get_config()``.

    Args:
        learning_rate: a float, a `LearningRateSchedule`, or a function without arguments.
        weight_decay: if given, before each step a variable w becomes w - w * weight_decay * learning_rate.
        clipnorm: the norm above which each gradient is scaled down; at most one of the three is given.
        clipvalue: the size above which each element of a gradient is cut off.
        global_clipnorm: the norm of all gradients together above which all are scaled down.
        use_ema: keep a moving average of each variable: average = ema_momentum * average + (1 - ema_momentum) * variable.
        ema_momentum: see above, between 0 and 1.
        ema_overwrite_frequency: after so many steps, again and again, variables take the values of their averages; None: only
            when `finalize_variable_values` is called, as ``fit`` does at its end.
        loss_scale_factor: the loss is multiplied by it, and gradients are divided by it, so that small ones survive in float16.
        gradient_accumulation_steps: variables change once in so many steps, by the mean of the gradients since then.
        name: its name, and the beginning of its variables' paths.

    Raises ValueError for arguments out of range or of a wrong kind.

    Example:

        >>> import numpy as np
        >>> from graphnet import Variable, optimizers
        >>> w = Variable([1.0, 2.0], name="w")
        >>> optimizers.SGD(0.5).apply([np.array([1.0, 1.0], "float32")], [w])
        >>> w.numpy()
        array([0.5, 1.5], dtype=float32)
    """

    def __init__(self, learning_rate: Any, weight_decay: float | None = None, clipnorm: float | None = None,
                 clipvalue: float | None = None, global_clipnorm: float | None = None, use_ema: bool = False,
                 ema_momentum: float = 0.99, ema_overwrite_frequency: int | None = None, loss_scale_factor: float | None = None,
                 gradient_accumulation_steps: int | None = None, name: str | None = None, **kwargs: Any) -> None:
        who = type(self).__name__
        if kwargs.pop("decay", None) is not None:
            warnings.warn(f"{who}: the argument decay is of Keras 2 and does nothing; use schedules.InverseTimeDecay.",
                          stacklevel=3)
        if kwargs:
            known = [n for n in inspect.signature(type(self)).parameters if n != "kwargs"]
            raise ValueError(f"{who} has no arguments {', '.join(kwargs)}. Arguments: {', '.join(known)}.")
        self.weight_decay = weight_decay
        self.clipnorm, self.clipvalue, self.global_clipnorm = clipnorm, clipvalue, global_clipnorm
        self.use_ema, self.ema_momentum, self.ema_overwrite_frequency = use_ema, ema_momentum, ema_overwrite_frequency
        self.loss_scale_factor, self.gradient_accumulation_steps = loss_scale_factor, gradient_accumulation_steps
        self._check_arguments(who)
        self.name = name or NAMES.unique(_snake_case(who))
        self.built = False
        self._variables: list[Variable] = []
        self._trainable_variables: list[Variable] = []
        self._positions: dict[int, int] = {}  # id of a variable -> its place among those that it was built for
        self._averages: list[Variable | None] = []
        self._accumulators: list[Variable] = []
        self._undecayed: set[int] = set()
        self._undecayed_names: re.Pattern[str] | None = None
        self._iterations: Any = self.add_variable((), dtype="int", name="iteration")
        self._learning_rate: Any = self._standard_rate(learning_rate)
        if not callable(self._learning_rate):
            self._learning_rate = self.add_variable((), initializers.Constant(self._learning_rate), name="learning_rate")

    def __init_subclass__(cls, **kwargs: Any) -> None:
        """A constructor that passes ``*common, **kwargs`` on shows this class's arguments in their place."""
        super().__init_subclass__(**kwargs)
        if "__init__" in vars(cls):
            shown = list(inspect.signature(cls.__init__).parameters.values())[1:]
            at = next((i for i, p in enumerate(shown) if p.kind is p.VAR_POSITIONAL and p.name == "common"), None)
            if at is not None:
                own, base = {p.name for p in shown}, list(inspect.signature(Optimizer.__init__).parameters.values())[2:-1]
                shown[at:at + 1] = [p for p in base if p.name not in own]
            cls.__signature__ = inspect.Signature(shown)  # type: ignore[attr-defined]

    def _check_arguments(self, who: str) -> None:
        steps = self.gradient_accumulation_steps
        if steps and (not isinstance(steps, int) or steps < 2):
            raise ValueError(f"{who} expects gradient_accumulation_steps to be None or an integer of at least 2; received "
                             f"{steps!r}.")
        if self.use_ema and not 0 <= self.ema_momentum <= 1:
            raise ValueError(f"{who} expects ema_momentum between 0 and 1; received {self.ema_momentum!r}.")
        frequency = self.ema_overwrite_frequency
        if self.use_ema and frequency and (not isinstance(frequency, int) or frequency < 1):
            raise ValueError(f"{who} expects ema_overwrite_frequency to be None or an integer of at least 1; received "
                             f"{frequency!r}.")
        given = {n: getattr(self, n) for n in ("clipnorm", "clipvalue", "global_clipnorm") if getattr(self, n) is not None}
        if len(given) > 1:
            raise ValueError(f"{who} expects at most one of clipnorm, clipvalue and global_clipnorm; received {given}.")

    def _standard_rate(self, rate: Any) -> Any:
        if callable(rate) and not isinstance(rate, type):
            return rate
        if not isinstance(rate, float):
            mend = f" Write {float(rate)}." if isinstance(rate, (int, np.number)) else ""
            raise ValueError(f"{type(self).__name__} expects learning_rate to be a float, a LearningRateSchedule or a function "
                             f"without arguments that gives a number; received {rate!r} ({type(rate).__name__}).{mend}")
        return rate

    # ---- variables

    def _attributes(self) -> Iterator[Any]:
        return iter([self._variables])  # not the model's own, which it holds as well

    def _named_parts(self) -> dict[str, Any]:
        """As in Keras's checkpoints: the slots are numbered from 2, whether the learning rate is a variable or not."""
        named = {n: getattr(self, n) for n in ("_iterations", "_learning_rate") if isinstance(getattr(self, n), Variable)}
        slots = [v for v in self._variables if v is not self._iterations and v is not self._learning_rate]
        return named | {"_variables": {str(i): v for i, v in enumerate(slots, 2)}}

    @property
    def variables(self) -> list[Variable]:
        """Its own variables: iteration, learning rate, and what `build` made, in the order in which files hold them."""
        return list(self._variables)

    def build(self, variables: Sequence[Variable]) -> None:
        """Makes the variables that are kept for each of `variables`; `apply` does it where it is not done."""
        if self.use_ema:
            self._averages = self.add_optimizer_variables(variables, "average")
        self._positions = {id(v): i for i, v in enumerate(variables)}
        if self.gradient_accumulation_steps:
            self._accumulators = [self.add_variable_from_reference(v, "gradient_accumulator") for v in variables]
        self._trainable_variables = list(variables)
        self.built = True

    def add_variable(self, shape: Sequence[int], initializer: Any = "zeros", dtype: Any = None, aggregation: str = "none",
                     layout: Any = None, name: str | None = None) -> Variable:
        """A new variable of the optimizer; `aggregation` and `layout`, of distributed training, do nothing."""
        name = name or "variable"
        made = Variable(initializers.get(initializer), tuple(shape), dtype, False, name, f"{self.name}/{name}")
        self._variables.append(made)
        resume(self)
        return made

    def add_variable_from_reference(self, reference_variable: Variable, name: str | None = None,
                                    initializer: Any = "zeros") -> Variable:
        """A new variable of the optimizer with the shape and dtype of another."""
        return self.add_variable(reference_variable.shape, initializer, reference_variable.dtype,
                                 name=f"{reference_variable.path.replace('/', '_')}_{name or 'var'}")

    def add_optimizer_variables(self, trainable_variables: Sequence[Variable], name: Any, initializer: Any = "zeros") -> Any:
        """For each variable one of that name, as a list; for a list of names one of each, as a tuple of lists.

        A variable whose attribute ``overwrite_with_gradient`` is true gets None.
        """
        names = [name] if isinstance(name, str) else list(name)
        many = isinstance(initializer, (list, tuple))
        made_by = list(initializer) if many else [initializer] * len(names)
        if len(names) != len(made_by):
            raise ValueError(f"add_optimizer_variables expects as many initializers as names; received name={name!r}, "
                             f"initializer={initializer!r}.")
        found: tuple[list[Variable | None], ...] = tuple([[] for _ in names])
        for variable in trainable_variables:
            for to, each, how in zip(found, names, made_by, strict=True):
                to.append(None if overwritten(variable) else self.add_variable_from_reference(variable, each, how))
        return found[0] if isinstance(name, str) else found

    def _index(self, variable: Variable) -> int:
        found = self._positions.get(id(variable))
        if found is None:
            known = ", ".join(v.path for v in self._trainable_variables[:10]) or "none"
            raise GraphError(f"Optimizer {self.name!r} was built for {len(self._trainable_variables)} variables ({known}); "
                             f"received {variable.path!r}, which is not among them. Make a new optimizer for other variables.")
        return found

    def assign(self, variable: Variable, value: Any) -> None:
        """Gives a variable its next value; later reads see it."""
        assign_in_trace(variable, value)

    def assign_add(self, variable: Variable, value: Any) -> None:
        """Adds to a variable."""
        self.assign(variable, variable + value)

    def assign_sub(self, variable: Variable, value: Any) -> None:
        """Subtracts from a variable."""
        self.assign(variable, variable - value)

    # ---- steps

    @property
    def iterations(self) -> Any:
        """How many steps were made; with accumulation, how many of them changed variables."""
        steps = self.gradient_accumulation_steps
        return self._iterations // steps if steps else self._iterations

    @property
    def learning_rate(self) -> Any:
        """The rate of the next step. Settable to a schedule, a function, or, where it was made of a float, to a float."""
        if isinstance(self._learning_rate, schedules.LearningRateSchedule):
            return self._learning_rate(self._iterations)
        return self._learning_rate if isinstance(self._learning_rate, Variable) else self._learning_rate()

    @learning_rate.setter
    def learning_rate(self, learning_rate: Any) -> None:
        old = self._learning_rate
        if callable(learning_rate):
            self._variables = [v for v in self._variables if v is not old]
            self._learning_rate = learning_rate
        elif isinstance(old, Variable):
            old.assign(learning_rate)
        else:
            kind = "a LearningRateSchedule" if isinstance(old, schedules.LearningRateSchedule) else "a function"
            raise TypeError(f"The learning rate of optimizer {self.name!r} is {kind}, so it cannot be set to "
                            f"{learning_rate!r}. Make the optimizer with a float, whose value can be set.")

    def scale_loss(self, loss: Any) -> Any:
        """The loss times the loss_scale_factor: what gradients are taken of."""
        return loss if self.loss_scale_factor is None else loss * self.loss_scale_factor

    def apply_gradients(self, grads_and_vars: Iterable[tuple[Any, Variable]]) -> Variable:
        """`apply` for pairs of gradient and variable; gives the counter of steps."""
        grads, variables = zip(*grads_and_vars, strict=True)
        self.apply(grads, variables)
        return self._iterations

    def apply(self, grads: Sequence[Any], trainable_variables: Sequence[Variable] | None = None) -> None:
        """Changes the variables by one step.

        Args:
            grads: a gradient for each variable, of its shape; None where there is none.
            trainable_variables: the variables; by default all that the optimizer was built for. The first call builds it.

        Raises ValueError for unknown variables, another number of gradients or none at all, ShapeError for gradients of
        other shapes.
        """
        if len(grads) == 0:
            return
        variables = self._known(trainable_variables)
        with np.errstate(all="ignore"):  # infinities and NaN say enough
            pairs = self._overwrite(gradients.present(list(grads), variables, f"Optimizer {self.name!r}"))
            if pairs:
                grads, variables = [g for g, _ in pairs], [v for _, v in pairs]
                if self.loss_scale_factor is not None:
                    grads = [g * (1.0 / self.loss_scale_factor) for g in grads]
                self._accumulate_and_update(grads, variables)
                self._average()
                for v in variables:
                    if v.constraint is not None:
                        self.assign(v, v.constraint(v))
            self.assign(self._iterations, self._iterations + 1)

    def stateless_apply(self, optimizer_variables: Sequence[Any], grads: Sequence[Any],
                        trainable_variables: Sequence[Any]) -> tuple[list[Any], list[Any]]:
        """`apply` as a function of values: gives the new ones of the trainable variables and of `variables`, and changes none.

        Raises ValueError before `build`, and for other numbers of values than it has variables.
        """
        known = [*self._trainable_variables, *self.variables]
        count = len(self._trainable_variables)
        if not self.built or (len(trainable_variables), len(optimizer_variables)) != (count, len(known) - count):
            raise ValueError(f"stateless_apply of optimizer {self.name!r} expects values of the {count} variables that it "
                             f"was built for and of its own {len(known) - count}; received {len(trainable_variables)} and "
                             f"{len(optimizer_variables)}." + ("" if self.built else " Call build(variables) first."))
        before = [state(v) for v in known]
        try:
            for v, value in zip(known, [*trainable_variables, *optimizer_variables], strict=True):
                self.assign(v, value)
            self.apply(grads)
            after = [state(v) for v in known]
        finally:
            for v, value in zip(known, before, strict=True):
                self.assign(v, value)
        return after[:count], after[count:]

    def _known(self, variables: Sequence[Variable] | None) -> list[Variable]:
        if variables is None:
            if not self.built:
                raise ValueError(f"Optimizer {self.name!r} does not know which variables the gradients belong to. Pass them: "
                                 "apply(grads, variables), or call build(variables) first.")
            return self._trainable_variables
        variables = list(variables)
        if not self.built:
            self.build(variables)
            self.built = True
        for v in variables:
            self._index(v)
        return variables

    def _due(self) -> Any:
        """Whether this step is one of those in which accumulated gradients are used."""
        steps: Any = self.gradient_accumulation_steps
        return ops.equal((self._iterations + 1) % steps, 0)

    def _overwrite(self, pairs: gradients.Pairs) -> gradients.Pairs:
        """Variables marked so take their gradient as value (the largest of those accumulated); gives the other pairs."""
        for g, v in pairs:
            if overwritten(v) and self.gradient_accumulation_steps:
                kept, due = self._accumulators[self._index(v)], truth(self._due())
                largest = ops.maximum(ops.cast(g, v.dtype), kept)
                self.assign(v, choose(due, largest, v))
                self.assign(kept, choose(due, ops.zeros_like(largest), largest))
            elif overwritten(v):
                self.assign(v, ops.cast(g, v.dtype))
        return [(g, v) for g, v in pairs if not overwritten(v)]

    def _accumulate_and_update(self, grads: list[Any], variables: list[Variable]) -> None:
        steps = self.gradient_accumulation_steps
        if not steps:
            self._clip_and_update(grads, variables)
            return
        due = self._due()
        kept = [self._accumulators[self._index(v)] for v in variables]
        totals = [ops.cast(g, a.dtype) + a for g, a in zip(grads, kept, strict=True)]
        with only_if(due, [*self._variables, *variables]):
            self._clip_and_update([t * (1.0 / steps) for t in totals], variables)
        mask = truth(due)
        for a, total in zip(kept, totals, strict=True):
            self.assign(a, choose(mask, ops.zeros_like(total), total))

    def _clip_and_update(self, grads: list[Any], variables: list[Variable]) -> None:
        for limit, clip in ((self.clipnorm, gradients.clip_by_norm), (self.global_clipnorm, gradients.clip_by_global_norm),
                            (self.clipvalue, gradients.clip_by_value)):
            if limit and limit > 0:
                grads = clip(grads, limit)
                break
        rate = self.learning_rate
        self._apply_weight_decay(variables, rate)
        self._update_variables(grads, variables, rate)

    def _update_variables(self, grads: list[Any], variables: list[Variable], learning_rate: Any) -> None:
        for g, v in zip(grads, variables, strict=True):
            self.update_step(g, v, learning_rate)

    def update_step(self, gradient: Any, variable: Variable, learning_rate: Any) -> None:
        """Changes one variable, by `assign`; a class of one's own defines it."""
        raise NotImplementedError(f"{type(self).__name__} expects a method update_step(self, gradient, variable, "
                                  "learning_rate), which changes the variable by self.assign.")

    # ---- decay and averages

    def exclude_from_weight_decay(self, var_list: Sequence[Variable] | None = None,
                                  var_names: Sequence[str] | None = None) -> None:
        """Spares these variables, and those whose names hold one of `var_names` (regular expressions), from weight decay.

        Raises ValueError once the optimizer is built.
        """
        if self.built:
            raise ValueError(f"exclude_from_weight_decay of optimizer {self.name!r} must be called before it is built: before "
                             "the first fit or apply.")
        self._undecayed = {id(v) for v in var_list or ()}
        self._undecayed_names = re.compile("|".join(sorted(set(var_names)))) if var_names else None

    def _spared(self, variable: Variable) -> bool:
        """Whether a variable is excluded from weight decay."""
        named = self._undecayed_names is not None and self._undecayed_names.search(variable.name) is not None
        return named or id(variable) in self._undecayed

    def _decay_of(self, variable: Variable) -> float | None:
        """The weight decay of a variable that is not spared."""
        return self.weight_decay

    def _apply_weight_decay(self, variables: list[Any], learning_rate: Any) -> None:
        for v in variables:
            decay = self._decay_of(v)
            if decay is not None and not self._spared(v):
                self.assign(v, v - v * decay * ops.cast(learning_rate, v.dtype))

    def _average(self) -> None:
        if not self.use_ema:
            return
        pairs = [(v, a) for v, a in zip(self._trainable_variables, self._averages, strict=True) if a is not None]
        started = ops.not_equal(self.iterations, 0)  # the first step's average is the variable itself
        old = {dtype: ops.cast(started, dtype) * self.ema_momentum for dtype in {v.dtype for v, _ in pairs}}
        new = {dtype: 1 - momentum for dtype, momentum in old.items()}
        for v, a in pairs:
            self.assign(a, old[v.dtype] * a + new[v.dtype] * v)
        if self.ema_overwrite_frequency:
            mask = truth(ops.equal((self.iterations + 1) % self.ema_overwrite_frequency, 0))
            for v, a in pairs:
                self.assign(v, choose(mask, a, v))

    def finalize_variable_values(self, var_list: Sequence[Variable]) -> None:
        """With use_ema, gives the variables the values of their averages: what is due when training ends."""
        if not self.use_ema:
            return
        if len(var_list) != len(self._averages):
            raise ValueError(f"finalize_variable_values of optimizer {self.name!r} expects the {len(self._averages)} variables "
                             f"that it was built for; received {len(var_list)}.")
        for v, a in zip(var_list, self._averages, strict=True):
            if a is not None:
                self.assign(v, a)

    # ---- files

    def set_weights(self, weights: Sequence[Any]) -> None:
        """Gives `variables` these values. Raises ValueError before `build`, for another number of values or other shapes."""
        variables = self.variables
        if not self.built:
            raise ValueError(f"set_weights of optimizer {self.name!r} expects a built optimizer: call build(variables) first.")
        if len(weights) != len(variables):
            raise ValueError(f"set_weights of optimizer {self.name!r} expects {len(variables)} arrays; received "
                             f"{len(weights)}.")
        for v, value in zip(variables, weights, strict=True):
            if tuple(np.shape(value)) != v.shape:
                raise ShapeError(f"Optimizer variable {v.path!r} expects a value of shape {v.shape}; received shape "
                                 f"{np.shape(value)}.")
        for v, value in zip(variables, weights, strict=True):
            v.assign(np.asarray(value, v.dtype))

    def save_own_variables(self, store: MutableMapping[str, Any]) -> None:
        """Writes `variables` under the names "0", "1", ..."""
        for i, v in enumerate(self.variables):
            store[str(i)] = v.value.copy()  # what stays as it is while training goes on

    def load_own_variables(self, store: Mapping[str, Any]) -> None:
        """Reads `variables` back; where the store holds another number of them, warns and changes nothing."""
        variables = self.variables
        if len(store.keys()) != len(variables):
            warnings.warn(f"The state of optimizer {self.name!r} was not loaded: it has {len(variables)} variables, the file "
                          f"has {len(store.keys())}." + ("" if self.built else " It is not built yet."), stacklevel=2)
            return
        for i, v in enumerate(variables):
            v.assign(np.asarray(store[str(i)], v.dtype))

    def get_config(self) -> dict[str, Any]:
        """The arguments to make it anew, without its state."""
        rate = self._learning_rate
        written = float(rate.value) if isinstance(rate, Variable) else schedules.serialize(rate)
        return {"name": self.name, "learning_rate": written} | {n: getattr(self, n) for n in COMMON}

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: dict[str, Any] | None = None) -> "Optimizer":
        """The optimizer that a config describes."""
        config = dict(config)
        if isinstance(config.get("learning_rate"), dict):
            config["learning_rate"] = schedules.deserialize(config["learning_rate"], custom_objects)
        return cls(**config)


def overwritten(variable: Variable) -> bool:
    """Whether a variable takes its gradient as its value, as the scales of quantized layers do."""
    return bool(getattr(variable, "overwrite_with_gradient", False))


def _snake_case(name: str) -> str:
    """AdamW -> adam_w, RMSprop -> rm_sprop: Keras's automatic names."""
    return re.sub(r"([a-z])([A-Z])", r"\1_\2", re.sub(r"(.)([A-Z][a-z]+)", r"\1_\2", name)).lower()


