"""MonitorCallback: what callbacks that watch one quantity share: which way is better, and by how much."""
import warnings
from collections.abc import Iterator
from typing import Any

import numpy as np

from graphnet.callbacks.callback import Callback


class MonitorCallback(Callback):
    """Base of EarlyStopping, ModelCheckpoint and ReduceLROnPlateau.

    Arguments: ``monitor`` the name in the logs; ``mode`` "min", "max" or "auto" (by the name: losses fall, and each metric
    knows its direction); ``baseline`` the value to beat at first; ``min_delta`` the least change that counts. Numbers are
    compared as float32, as Keras compares them, so that the last bits of a sum with ``min_delta`` decide nothing. Warns of an
    unknown mode, and takes "auto"; raises ValueError, once training has begun, where the direction cannot be told.
    """

    def __init__(self, monitor: str = "val_loss", mode: str = "auto", baseline: float | None = None,
                 min_delta: float = 0) -> None:
        super().__init__()
        if mode not in ("auto", "min", "max"):
            warnings.warn(f"{type(self).__name__} expects mode 'auto', 'min' or 'max'; received mode={mode!r}. It takes "
                          "'auto'.", stacklevel=3)
            mode = "auto"
        self.monitor, self.mode, self.best, self.min_delta = monitor, mode, baseline, abs(min_delta)
        self._sign = {"min": -1, "max": 1}.get(mode)

    def get_monitor_value(self, logs: dict[str, Any] | None) -> Any:
        """The value of ``monitor`` in the logs; a warning and None where they lack it."""
        value = (logs or {}).get(self.monitor)
        if value is None:
            mend = " Pass validation_data to fit to have it." if self.monitor.startswith("val_") else ""
            warnings.warn(f"{type(self).__name__} monitors {self.monitor!r}, which is not available. "
                          f"Available: {', '.join(logs or ()) or 'nothing'}.{mend}", stacklevel=2)
        return value

    def is_improvement(self, value: Any, reference: Any) -> bool:
        """Whether the value is better than the reference by more than ``min_delta``; anything is better than None."""
        sign = self.direction()
        if reference is None:
            return True
        moved = np.float32(value - sign * self.min_delta)
        return bool(moved > np.float32(reference) if sign > 0 else moved < np.float32(reference))

    def direction(self) -> int:
        """1 where more is better, -1 where less is; asked once training has begun, because metrics are made then."""
        if self._sign is None:
            self._sign = self._infer_direction()
        return self._sign

    def _infer_direction(self) -> int:
        name = self.monitor.removeprefix("val_")
        if name == "loss" or name.endswith("_loss"):
            return -1
        ways = {m.name: m._direction for m in _metrics(self.model) if getattr(m, "_direction", None)}
        for known in (name, *(known for known in ways if name.endswith(f"_{known}"))):  # behind an output's name, too
            if known in ways:
                return 1 if ways[known] == "up" else -1
        raise ValueError(f"{type(self).__name__} cannot tell whether monitor={self.monitor!r} is better when it rises or "
                         "when it falls. Pass mode='max' or mode='min'.")


def _metrics(model: Any) -> Iterator[Any]:
    """All metrics of a model, those that others hold too."""
    for metric in getattr(model, "metrics", ()):
        yield metric
        yield from (part for part in getattr(metric, "submodules", ()) if hasattr(part, "name"))
