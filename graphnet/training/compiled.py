"""What `compile` was given, made ready for a model's outputs: losses with their weights, metrics with their names in logs."""
from collections.abc import Mapping, Sequence
from typing import Any

from graphnet import losses, metrics, ops, tree
from graphnet.errors import DataError
from graphnet.identifiers import snake_case
from graphnet.losses.loss import LossFunctionWrapper
from graphnet.training.outputs import names_of, numbered, spread

CROSSENTROPY = ("crossentropy", "ce")  # names that mean the one which fits the shapes of labels and predictions
ACCURACY = ("accuracy", "acc")


def names_one_of(identifier: Any, family: Sequence[str]) -> bool:
    """Whether an identifier is a name of that family (CROSSENTROPY, ACCURACY), in letters of any case."""
    return isinstance(identifier, str) and identifier.lower() in family


def _fitting(family: Sequence[str], y_true: Any, y_pred: Any) -> str:
    """The name of the crossentropy or accuracy that fits the shapes of labels and predictions."""
    sparse = len(y_true.shape) < len(y_pred.shape) or (y_true.shape[-1] == 1 and (y_pred.shape[-1] or 2) > 1)
    kind = "binary" if y_pred.shape[-1] == 1 else "sparse_categorical" if sparse else "categorical"
    return f"{kind}_{family[0]}"


def object_name(thing: Any) -> str:
    """The name of a loss, a metric or a function in logs."""
    return getattr(thing, "name", None) or snake_case(getattr(thing, "__name__", type(thing).__name__))


def _loss(identifier: Any, y_true: Any, y_pred: Any) -> Any:
    found = losses.get(_fitting(CROSSENTROPY, y_true, y_pred) if names_one_of(identifier, CROSSENTROPY) else identifier)
    if isinstance(found, losses.Loss):
        return found
    return LossFunctionWrapper(found, name=identifier if isinstance(identifier, str) else object_name(found))


class CompiledLoss:
    """The losses of a model's outputs, and their weighted sum.

    Arguments: ``loss`` and ``weights`` as `Model.compile` takes them; ``output_names`` of the model, where it has such.
    """

    def __init__(self, loss: Any, weights: Any, output_names: Sequence[str] | None) -> None:
        self.loss, self.weights, self.output_names = loss, weights, output_names
        self.parts: list[tuple[Any, Any, Any]] | None = None  # of each output: loss, weight, tracker
        self.names: list[str | None] = []
        self.metrics: list[Any] = []  # of several losses a mean of each
        if isinstance(weights, bool) or (weights is not None and not isinstance(weights, (int, float, list, tuple, Mapping))):
            raise ValueError("compile expects loss_weights to be a number, a list or a dict by output name; received "
                             f"{weights!r}.")

    def _build(self, y_true: list[Any], y_pred: Any, found: list[Any]) -> None:
        weights = spread(self.weights, y_pred, self.names, "loss_weights")
        if isinstance(self.weights, Mapping):
            weights = [1.0 if w is None else w for w in weights]
        predictions = tree.flatten(y_pred)
        made = [None if one is None else _loss(one, t, p) for one, t, p in zip(found, y_true, predictions, strict=True)]
        several = sum(loss is not None for loss in made) > 1
        self.parts = []
        taken: dict[str, int] = {}
        for loss, weight, name in zip(made, weights, self.names, strict=True):
            tracker = None
            if loss is not None and several:
                tracker = metrics.Mean(name=f"{numbered(name or loss.name, taken)}_loss")
            self.parts.append((loss, weight, tracker))
        self.metrics = [tracker for _, _, tracker in self.parts if tracker is not None]
        if isinstance(self.loss, Mapping) and isinstance(y_pred, Mapping):  # in the order of the losses
            of_name = {name: tracker for name, (_, _, tracker) in zip(self.names, self.parts, strict=True)}
            named = [of_name[key] for key in self.loss if of_name.get(key) is not None]
            self.metrics = list(dict.fromkeys([*named, *self.metrics]))

    def __call__(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> Any:
        """The weighted sum of the outputs' losses; updates their means.

        Raises DataError where targets do not fit the outputs.
        """
        self.names = names_of(y_pred, self.output_names)
        found = spread(self.loss, y_pred, self.names, "The argument loss of compile")
        targets, predictions = self._targets(y_true, y_pred, found), tree.flatten(y_pred)
        if self.parts is None:
            self._build(targets, y_pred, found)
        weights = spread(sample_weight, y_pred, self.names, "sample_weight")
        values = []
        for (loss, factor, tracker), target, prediction, weight in zip(self.parts or (), targets, predictions, weights,
                                                                       strict=True):
            if loss is None:
                continue
            value = loss(target, prediction, sample_weight=weight)
            if tracker is not None:
                tracker.update_state(value, sample_weight=ops.shape(prediction)[0])
            values.append(value if factor is None else value * factor)
        total = values[0] if values else ops.zeros(())
        for value in values[1:]:
            total = total + value
        return total

    def _targets(self, y_true: Any, y_pred: Any, found: list[Any]) -> list[Any]:
        """The target of each output; a DataError where one that has a loss has none."""
        if y_true is None:
            raise DataError("The model was compiled with a loss, which needs targets; received y=None. Pass y, or batches (x, "
                            "y).")
        measured = [name for one, name in zip(found, self.names, strict=True) if one is not None]
        if len(measured) > 1 and not isinstance(y_true, (list, tuple, Mapping)):
            listed = f" ({', '.join(map(str, measured))})" if all(measured) else ""
            raise DataError(f"The targets y are expected to be a list or a dict with an entry for each of the {len(measured)} "
                            f"outputs that have a loss{listed}; received one array.")
        targets = spread(y_true, y_pred, self.names, "The targets y", [one is None for one in found])
        for one, target, name in zip(found, targets, self.names, strict=True):
            if one is not None and target is None:
                raise DataError(f"The output {name!r} has a loss and no target. Pass y for it, or leave it out of the loss.")
        return targets


def _metric(identifier: Any, y_true: Any, y_pred: Any) -> Any:
    """The metric that an entry of compile's metrics means; one of its own for a name or a function."""
    if identifier is None:
        raise ValueError("compile expects metrics to hold names, functions or Metric objects; received None in their list.")
    family = next((family for family in (ACCURACY, CROSSENTROPY) if names_one_of(identifier, family)), None)
    found = metrics.get(identifier if family is None else _fitting(family, y_true, y_pred))
    name = identifier if isinstance(identifier, str) else object_name(found)
    if not isinstance(found, metrics.Metric):
        return metrics.MeanMetricWrapper(found, name=name)
    found.name = name
    return found


class CompiledMetrics:
    """The metrics of a model's outputs: those without sample weights, and those with."""

    def __init__(self, plain: Any, weighted: Any, output_names: Sequence[str] | None) -> None:
        for what, given in (("metrics", plain), ("weighted_metrics", weighted)):
            if given and not isinstance(given, (list, tuple, Mapping)):
                raise ValueError(f"compile expects {what} to be a list, tuple or dict of metrics; received {given!r}. Write "
                                 f"[{given!r}].")
        self.plain, self.weighted, self.output_names = plain, weighted, output_names
        self.parts: list[tuple[str, int, Any, bool]] | None = None  # name in logs, output, metric, whether weighted

    @property
    def metrics(self) -> list[Any]:
        """All metrics; before the first data has shown which names mean, those that were given as objects."""
        if self.parts is None:
            return [one for one in tree.flatten([self.plain, self.weighted]) if isinstance(one, metrics.Metric)]
        return [metric for _, _, metric, _ in self.parts]

    def _build(self, y_true: list[Any], y_pred: Any, names: Sequence[str | None]) -> None:
        predictions, parts = tree.flatten(y_pred), []
        taken: dict[str, int] = {}
        for given, weighted in ((self.plain, False), (self.weighted, True)):
            if not given:
                continue
            what = "weighted_metrics" if weighted else "metrics"
            each = [tree.flatten(given)] if len(names) == 1 else spread(given, y_pred, names, f"The argument {what} of compile")
            for output, entries in enumerate(each):
                for entry in [] if entries is None else entries if isinstance(entries, (list, tuple)) else [entries]:
                    metric = _metric(entry, y_true[output], predictions[output])
                    name = metric.name if len(names) == 1 or not names[output] else f"{names[output]}_{metric.name}"
                    if weighted and name in taken:
                        name = f"weighted_{name}" if len(names) == 1 else f"{names[output]}_weighted_{metric.name}"
                    parts.append((numbered(name, taken), output, metric, weighted))
        self.parts = parts

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        """Takes one batch into account."""
        names = names_of(y_pred, self.output_names)
        targets = spread(y_true, y_pred, names, "The targets y", [True] * len(names))
        if self.parts is None:
            self._build(targets, y_pred, names)
        predictions = tree.flatten(y_pred)
        weights = spread(sample_weight, y_pred, names, "sample_weight")
        for _, output, metric, weighted in self.parts or ():
            metric.update_state(targets[output], predictions[output], sample_weight=weights[output] if weighted else None)

    def result(self) -> dict[str, Any]:
        """The metrics' values under their names in logs."""
        return {name: metric.result() for name, _, metric, _ in self.parts or ()}
