"""LoadedModel: what a model becomes that is loaded from a saved model without its classes."""
from typing import Any

from graphnet.graph import Variable
from graphnet.models.model import Model
from graphnet.saved_model.objects import KINDS, LoadedLayer


class LoadedModel(LoadedLayer, Model):
    """A model as its graphs, in training and inference: it predicts, and is compiled, trained and saved as any other.

    Made by `graphnet.saved_model.load`, and by `load_model` where a saved model's classes are not known. It has no layers to
    look into, and no losses that layers added: these were not a part of what the model gives.

    Example:

        >>> import numpy as np, graphnet, os, tempfile
        >>> model = graphnet.Sequential([graphnet.Input((4,)), graphnet.layers.Dense(3)])
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     graphnet.saved_model.save(model, os.path.join(folder, "model"))
        ...     loaded = graphnet.saved_model.load(os.path.join(folder, "model"))
        >>> loaded.compile("sgd", "mse")
        >>> history = loaded.fit(np.ones((8, 4), "float32"), np.zeros((8, 3), "float32"), verbose=0)
        >>> loaded.predict(np.ones((2, 4), "float32"), verbose=0).shape
        (2, 3)
    """

    def __init__(self, name: str) -> None:
        Model.__init__(self, name=name)
        self._begin()
        self.autocast, self.built = False, True

    def _held_variables(self) -> list[Variable]:
        trained = {id(v) for v in self.optimizer.variables} if self.optimizer is not None else set()
        return [v for v in super()._held_variables() if id(v) not in trained]

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return LoadedLayer.__call__(self, *args, **kwargs)


KINDS["model"] = LoadedModel

__all__ = ["LoadedModel"]
