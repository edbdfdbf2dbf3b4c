"""When something is due that happens every so many batches."""
from typing import Any

import numpy as np


class StepCounter:
    """Says at which batches something is due that happens every ``frequency`` batches.

    Where several batches are one step, it is due at the last of them.
    """

    def __init__(self, frequency: Any, who: str) -> None:
        number = isinstance(frequency, (int, np.integer)) and not isinstance(frequency, bool) and frequency >= 1
        if frequency != "epoch" and not number:
            raise ValueError(f"{who} expects save_freq='epoch' or a number of batches from 1 on; received "
                             f"save_freq={frequency!r}.")
        self.frequency, self._since, self._last = frequency, 0, -1

    def due(self, batch: int) -> bool:
        """Takes note that this batch is done; whether it is time."""
        if self.frequency == "epoch":
            return False
        self._since += batch - self._last if batch > self._last else batch + 1  # a new epoch counts from 0
        self._last = batch
        if self._since < self.frequency:
            return False
        self._since = 0
        return True

    def new_epoch(self) -> None:
        """Batches count from 0 again."""
        self._last = -1
