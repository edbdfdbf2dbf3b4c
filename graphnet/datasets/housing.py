"""Splitting the tables of house prices."""
import numpy as np

from graphnet.datasets.sources import Split


def shuffled_split(x: np.ndarray, y: np.ndarray, test_split: float, seed: int) -> Split:
    """The rows in an order drawn from the seed, cut in two."""
    order = np.arange(len(x))
    np.random.RandomState(seed).shuffle(order)
    at = int(len(x) * (1 - test_split))
    return (x[order[:at]], y[order[:at]]), (x[order[at:]], y[order[at:]])
