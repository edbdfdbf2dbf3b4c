"""Trainer: what a model has for training.

A step - forward, losses, gradients, optimizer, metrics - is one graph and one plan.
"""
import inspect
import warnings
from typing import Any

from graphnet import losses, metrics, ops, optimizers, tree
from graphnet.autodiff import backward
from graphnet.errors import GraphError
from graphnet.graph import Variable
from graphnet.module import Module, members
from graphnet.tracing import current
from graphnet.training import loops
from graphnet.training.batch import unpack_x_y_sample_weight
from graphnet.training.compiled import CROSSENTROPY, CompiledLoss, CompiledMetrics, names_one_of
from graphnet.training.state import TrainingState


def _of_state(name: str, doc: str) -> Any:
    """A property that lives in the training state, so that setting it changes nothing that was compiled."""
    def get(self: Any) -> Any:
        return getattr(self._training_state, name)

    def put(self: Any, value: Any) -> None:
        setattr(self._training_state, name, value)
    return property(get, put, doc=doc)


STATE = frozenset({
    "optimizer", "loss", "compiled", "run_eagerly", "jit_compile", "steps_per_execution", "stop_training", "stop_evaluating",
    "stop_predicting", "history", "_initial_epoch"})


class Trainer(Module):
    """The methods of `Model` that train and measure it.

    Source: https://keras.io/api/models/model_training_apis/
    """

    name: str
    built: bool
    trainable_variables: list[Variable]
    losses: list[Any]
    _untracked_training: TrainingState | None = None
    _untracked_executables: dict[Any, Any]

    @property
    def _training_state(self) -> TrainingState:
        if self._untracked_training is None:
            self._untracked_training = TrainingState()
        return self._untracked_training

    optimizer = _of_state("optimizer", "The optimizer that `compile` was given.")
    loss = _of_state("loss", "The loss as `compile` was given it.")
    compiled = _of_state("compiled", "Whether `compile` was called.")
    run_eagerly = _of_state("run_eagerly", "Whether the model's Python code runs anew at each step.")
    jit_compile = _of_state("jit_compile", "Kept for Keras's sake: steps are always compiled, and nothing is compiled for a "
                            "model.")
    steps_per_execution = _of_state("steps_per_execution", "Steps between two calls of the callbacks.")
    stop_training = _of_state("stop_training", "Set by a callback to end `fit` after the batch.")
    stop_evaluating = _of_state("stop_evaluating", "Set by a callback to end `evaluate` after the batch.")
    stop_predicting = _of_state("stop_predicting", "Set by a callback to end `predict` after the batch.")
    history = _of_state("history", "The History of the last `fit`.")
    _initial_epoch = _of_state("initial_epoch", "The epoch at which a restored run goes on.")

    # ---- compile

    def compile(self, optimizer: Any = "rmsprop", loss: Any = None, loss_weights: Any = None, metrics: Any = None,
                weighted_metrics: Any = None, run_eagerly: bool = False, steps_per_execution: int = 1,
                jit_compile: Any = "auto", auto_scale_loss: bool = True) -> None:
        """Says how to train: with which optimizer, on which loss, measured by which metrics.

        Arguments: ``optimizer`` a name or an `optimizers.Optimizer`; ``loss`` a name, a `losses.Loss`, a function of (y_true,
        y_pred), or a list or dict of them by output, None for an output without one; ``loss_weights`` their factors in the sum;
        ``metrics`` names, functions or `metrics.Metric` objects, of several outputs a list or dict of lists;
        ``weighted_metrics`` those that take sample weights into account; ``run_eagerly`` runs the model's Python code anew at
        each step, in ``evaluate`` and ``predict`` of subclassed models on arrays, whose values it sees (a training step is
        always a graph); ``steps_per_execution`` calls the callbacks once for so many batches; ``auto_scale_loss`` wraps the
        optimizer of a "mixed_float16" model in a LossScaleOptimizer. ``jit_compile`` is taken for Keras's sake and changes
        nothing.
        Raises ValueError for names that there are not. Source: https://keras.io/api/models/model_training_apis/

        Example:

            >>> import graphnet
            >>> model = graphnet.Sequential([graphnet.Input((3,)), graphnet.layers.Dense(2)])
            >>> model.compile("adam", loss="mse", metrics=["mae"])
            >>> type(model.optimizer).__name__
            'Adam'
        """
        if isinstance(steps_per_execution, bool) or not isinstance(steps_per_execution, int) or steps_per_execution < 1:
            raise ValueError("compile expects steps_per_execution to be a whole number from 1; received "
                             f"{steps_per_execution!r}.")
        names = getattr(self, "output_names", None)
        state = TrainingState(history=self.history)
        state.optimizer = optimizers.get(optimizer)
        mixed = getattr(getattr(self, "dtype_policy", None), "name", None) == "mixed_float16"
        if auto_scale_loss and mixed and not isinstance(state.optimizer, optimizers.LossScaleOptimizer):
            state.optimizer = optimizers.LossScaleOptimizer(state.optimizer)
        _check_loss(loss)
        state.loss, state.compiled_loss = loss, None if loss is None else CompiledLoss(loss, loss_weights, names)
        if metrics is not None or weighted_metrics is not None:
            state.compiled_metrics = CompiledMetrics(metrics, weighted_metrics, names)
        state.loss_tracker, state.compiled = _mean("loss"), True
        state.run_eagerly, state.jit_compile, state.steps_per_execution = bool(run_eagerly), jit_compile, steps_per_execution
        state.config = {
            "optimizer": state.optimizer, "loss": loss, "loss_weights": loss_weights, "metrics": metrics,
            "weighted_metrics": weighted_metrics, "run_eagerly": run_eagerly, "steps_per_execution": steps_per_execution,
            "jit_compile": jit_compile}
        self._untracked_training = state
        self._forget_steps()

    def _named_parts(self) -> dict[str, Any]:
        return super()._named_parts() | ({} if self.optimizer is None else {"optimizer": self.optimizer})

    def _forget_steps(self) -> None:
        for key in [k for k in self._untracked_executables if isinstance(k, tuple) and k[0] in ("train", "test")]:
            del self._untracked_executables[key]

    def _build_optimizer(self) -> None:
        """Makes the optimizer's variables for the model's."""
        if self.optimizer is None:
            raise ValueError(f"Model {self.name!r} was compiled with optimizer=None, so it cannot be trained. Pass one to "
                             "compile().")
        if not self.optimizer.built:
            self.optimizer.build(self.trainable_variables)

    def _open_extents(self, x: Any) -> dict[int, set[int]]:
        """Of each array of x, by its id, the axes whose extents the model leaves open."""
        return {}

    def _prepare(self, x: Any) -> Any:
        """x with its arrays as the model's inputs want them."""
        return x

    # ---- metrics

    @property
    def metrics(self) -> list[Any]:
        """All metrics: the loss's mean, those of `compile`, those of the outputs' losses, and those among the attributes."""
        state, found = self._training_state, []
        if state.compiled:
            found = [state.loss_tracker]
            found += state.compiled_metrics.metrics if state.compiled_metrics is not None else []
            found += state.compiled_loss.metrics if state.compiled_loss is not None else []
        for part in (self, *[m for m in self.submodules if not isinstance(m, Trainer)]):
            found += [m for value in part._attributes() for m in members(value, metrics.Metric)]
        return list({id(m): m for m in found}.values())

    @property
    def metrics_names(self) -> list[str]:
        """The names of what `evaluate` gives, in its order.

        Example:

            >>> import numpy as np, graphnet
            >>> model = graphnet.Sequential([graphnet.Input((3,)), graphnet.layers.Dense(2)])
            >>> model.compile("sgd", loss="mse", metrics=["mae"])
            >>> _ = model.train_on_batch(np.ones((4, 3), "float32"), np.ones((4, 2), "float32"))
            >>> model.metrics_names
            ['loss', 'mae']
        """
        return list(self._ordered(self.get_metrics_result()))

    @property
    def metrics_variables(self) -> list[Variable]:
        """The variables of all metrics."""
        return [v for m in self.metrics for v in m.variables]

    def reset_metrics(self) -> None:
        """Sets all metrics back to their beginning."""
        for metric in self.metrics:
            metric.reset_state()

    def get_metrics_result(self) -> dict[str, Any]:
        """The metrics' present values under their names in logs."""
        state = self._training_state
        compiled = state.compiled_metrics.metrics if state.compiled_metrics is not None else []
        own = {id(m) for m in compiled}
        logs: dict[str, Any] = {}
        for metric in self.metrics:
            if id(metric) not in own:
                result = metric.result()
                logs.update(result if isinstance(result, dict) else {metric.name: result})
            elif metric is compiled[0]:
                for name, result in state.compiled_metrics.result().items():
                    logs.update(result if isinstance(result, dict) else {name: result})
        return logs

    # ---- one step, to be overridden

    def compute_loss(self, x: Any = None, y: Any = None, y_pred: Any = None, sample_weight: Any = None,
                     training: bool = True) -> Any:
        """The loss that a step minimizes: that of `compile`, plus what the layers add. A scalar; may be overridden."""
        compiled = self._training_state.compiled_loss
        total = None if compiled is None else compiled(y, y_pred, sample_weight)
        for extra in self.losses:
            value = ops.sum(ops.cast(extra, self._loss_dtype))
            total = value if total is None else total + value
        if total is None:
            raise ValueError(f"Model {self.name!r} has no loss to minimize. Pass loss= to compile(), or call add_loss in a "
                             "layer.")
        return total

    _loss_dtype = "float32"

    def _compute_loss(self, x: Any, y: Any, y_pred: Any, sample_weight: Any, training: bool) -> Any:
        if "training" in inspect.signature(self.compute_loss).parameters:
            return self.compute_loss(x, y, y_pred, sample_weight, training=training)
        return self.compute_loss(x, y, y_pred, sample_weight)

    def compute_metrics(self, x: Any, y: Any, y_pred: Any, sample_weight: Any = None) -> dict[str, Any]:
        """Takes a batch into account in the metrics; gives all logs. May be overridden."""
        compiled = self._training_state.compiled_metrics
        if compiled is not None:
            compiled.update_state(y, y_pred, sample_weight)
        return self.get_metrics_result()

    def _track_loss(self, loss: Any, x: Any) -> None:
        self._training_state.loss_tracker.update_state(loss, sample_weight=ops.shape(tree.flatten(x)[0])[0])

    def train_step(self, data: Any) -> dict[str, Any]:
        """One training step on a batch: it is traced, so it speaks ops. Gives the logs. May be overridden.

        In a train_step of your own, data are x, (x, y) or (x, y, sample_weight), as far as there are such;
        `graphnet.value_and_grad` gives gradients, and ``self.optimizer.apply`` takes them.

        Example:

            >>> import numpy as np, graphnet
            >>> from graphnet import ops
            >>> class Slope(graphnet.Model):
            ...     def __init__(self):
            ...         super().__init__()
            ...         self.slope = self.add_weight(shape=(), initializer="zeros")
            ...     def call(self, x):
            ...         return x * self.slope
            ...     def train_step(self, data):
            ...         x, y = data
            ...         loss_of = lambda slope: ops.mean(ops.square(x * slope - y))
            ...         loss, gradient = graphnet.value_and_grad(loss_of)(self.slope)
            ...         self.optimizer.apply([gradient], [self.slope])
            ...         return {"loss": loss}
            >>> model = Slope()
            >>> model.compile(graphnet.optimizers.SGD(0.25))
            >>> _ = model.fit(np.ones((4, 1), "float32"), np.full((4, 1), 2.0, "float32"), verbose=0)
            >>> float(model.slope)
            1.0
        """
        x, y, sample_weight = unpack_x_y_sample_weight(data)
        y_pred = self(x, training=True)  # type: ignore[operator]
        loss = self._compute_loss(x, y, y_pred, sample_weight, True)
        self._track_loss(loss, x)
        variables = self.trainable_variables
        self.optimizer.apply(gradients_of(self.optimizer.scale_loss(loss), variables), variables)
        return self.compute_metrics(x, y, y_pred, sample_weight)

    def test_step(self, data: Any) -> dict[str, Any]:
        """One step of `evaluate` on a batch; gives the logs. May be overridden."""
        x, y, sample_weight = unpack_x_y_sample_weight(data)
        y_pred = self(x, training=False)  # type: ignore[operator]
        self._track_loss(self._compute_loss(x, y, y_pred, sample_weight, False), x)
        return self.compute_metrics(x, y, y_pred, sample_weight)

    # ---- runs

    def fit(self, x: Any = None, y: Any = None, batch_size: int | None = None, epochs: int = 1, verbose: Any = "auto",
            callbacks: Any = None, validation_split: float = 0.0, validation_data: Any = None, shuffle: bool = True,
            class_weight: Any = None, sample_weight: Any = None, initial_epoch: int = 0, steps_per_epoch: int | None = None,
            validation_steps: int | None = None, validation_batch_size: int | None = None, validation_freq: Any = 1) -> Any:
        """Trains for some epochs; gives the History, whose ``.history`` has each epoch's logs.

        Arguments: ``x`` an array, a list or dict of arrays by input, a generator or iterable of batches (x, y[,
        sample_weight]), a `utils.PyDataset`, a torch DataLoader, a DataFrame; ``y`` targets, by output; ``batch_size`` rows a
        step (32); ``verbose`` 0 silent, 1 a progress bar, 2 a line an epoch, "auto"; ``validation_split`` the last share of the
        rows, kept for validation; ``validation_data`` (x, y[, sample_weight]) or batches; ``shuffle`` the rows of each epoch;
        ``class_weight`` class -> factor; ``sample_weight`` a factor for each row; ``steps_per_epoch`` batches an epoch, for
        data without end; ``validation_freq`` epochs between validations, or a list of epochs. Equal seeds
        (`utils.set_random_seed`) give equal runs, for any number of threads; not Keras's numbers.
        Raises DataError where data do not fit each other or the model; nothing is trained then.
        Source: https://keras.io/api/models/model_training_apis/#fit-method

        Example:

            >>> import numpy as np, graphnet
            >>> model = graphnet.Sequential([graphnet.Input((3,)), graphnet.layers.Dense(1)])
            >>> model.compile("sgd", loss="mse")
            >>> history = model.fit(np.ones((8, 3), "float32"), np.zeros((8, 1), "float32"), epochs=2, verbose=0)
            >>> sorted(history.history), history.epoch
            (['loss'], [0, 1])
        """
        return loops.fit(
            self, x, y, batch_size, epochs, verbose, callbacks, validation_split, validation_data, shuffle, class_weight,
            sample_weight, initial_epoch, steps_per_epoch, validation_steps, validation_batch_size, validation_freq)

    def evaluate(self, x: Any = None, y: Any = None, batch_size: int | None = None, verbose: Any = "auto",
                 sample_weight: Any = None, steps: int | None = None, callbacks: Any = None, return_dict: bool = False) -> Any:
        """The loss and metrics over data; arguments as for `fit`. A number, a list in the order of `metrics_names`, or a dict.

        Source: https://keras.io/api/models/model_training_apis/#evaluate-method

        Example:

            >>> import numpy as np, graphnet
            >>> model = graphnet.Sequential([graphnet.Input((3,)), graphnet.layers.Dense(1, kernel_initializer="ones")])
            >>> model.compile(loss="mse")
            >>> model.evaluate(np.ones((8, 3), "float32"), np.zeros((8, 1), "float32"), verbose=0, return_dict=True)
            {'loss': 9.0}
        """
        logs = loops.evaluate(self, x, y, batch_size, verbose, sample_weight, steps, callbacks)
        return logs if return_dict else self._in_order(logs)

    def train_on_batch(self, x: Any, y: Any = None, sample_weight: Any = None, class_weight: Any = None,
                       return_dict: bool = False) -> Any:
        """One training step on one batch; gives its own loss and metrics, which are reset before.

        Source: https://keras.io/api/models/model_training_apis/#trainonbatch-method

        Example:

            >>> import numpy as np, graphnet
            >>> model = graphnet.Sequential([graphnet.Input((3,)), graphnet.layers.Dense(1, kernel_initializer="zeros")])
            >>> model.compile(graphnet.optimizers.SGD(0.5), loss="mse")
            >>> x, y = np.ones((4, 3), "float32"), np.ones((4, 1), "float32")
            >>> [model.train_on_batch(x, y) for _ in range(2)]
            [1.0, 9.0]
        """
        logs = loops.on_batch(self, "train", x, y, sample_weight, class_weight)
        return logs if return_dict else self._in_order(logs)

    def test_on_batch(self, x: Any, y: Any = None, sample_weight: Any = None, return_dict: bool = False) -> Any:
        """The loss and metrics of one batch.

        Source: https://keras.io/api/models/model_training_apis/#testonbatch-method

        Example:

            >>> import numpy as np, graphnet
            >>> model = graphnet.Sequential([graphnet.Input((3,)), graphnet.layers.Dense(1, kernel_initializer="zeros")])
            >>> model.compile(loss="mse")
            >>> model.test_on_batch(np.ones((4, 3), "float32"), np.ones((4, 1), "float32"))
            1.0
        """
        logs = loops.on_batch(self, "test", x, y, sample_weight, None)
        return logs if return_dict else self._in_order(logs)

    def _in_order(self, logs: dict[str, Any]) -> Any:
        values = list(self._ordered(logs).values())
        return values[0] if len(values) == 1 else values

    def _ordered(self, logs: dict[str, Any]) -> dict[str, Any]:
        """Logs as lists have them: in the order of `metrics` those of its names, then by name those named by output too."""
        first = dict.fromkeys(m.name for m in self.metrics if m.name in logs)
        return {name: logs[name] for name in [*first, *sorted(logs.keys() - first)]}

    def _expect_compiled(self, what: str) -> None:
        overridden = type(self).train_step is not Trainer.train_step
        if not self.compiled and not (overridden and what == "fit"):
            raise ValueError(f"Model {self.name!r}: call compile(optimizer, loss) before {what}().")


def gradients_of(loss: Any, variables: list[Variable]) -> list[Any]:
    """The gradients of a scalar of the running trace with respect to variables; zeros where it does not depend on one."""
    trace = current()
    if trace is None:
        raise GraphError("gradients_of expects to run inside a step that is traced; use graphnet.value_and_grad elsewhere.")
    leaves = [trace.leaves.get(v) for v in variables]
    known = [leaf for leaf in leaves if leaf is not None]
    value = trace.lift(loss)  # a number, where it depends on nothing
    found = dict(zip([leaf.key for leaf in known], backward([value], [ops.ones_like(value)], known), strict=True))
    unused = [v.path for v, leaf in zip(variables, leaves, strict=True) if leaf is None or found[leaf.key] is None]
    if unused and len(unused) == len(variables):
        warnings.warn(f"The loss depends on none of the trainable variables ({', '.join(unused[:4])}): training changes "
                      "nothing.",
                      stacklevel=2)
    return [ops.zeros(v.shape, v.dtype) if leaf is None or found[leaf.key] is None else found[leaf.key]
            for v, leaf in zip(variables, leaves, strict=True)]


def _mean(name: str) -> Any:
    """A mean; `compile` has an argument named metrics in the room's place."""
    return metrics.Mean(name=name)


def _check_loss(loss: Any) -> None:
    """Unknown names of losses are refused when the model is compiled."""
    for one in tree.flatten(loss) if loss is not None else []:
        if isinstance(one, str) and not names_one_of(one, CROSSENTROPY):
            losses.get(one)
