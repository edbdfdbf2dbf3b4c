"""Data of any kind as epochs of batches: arrays, tables, sparse matrices, generators, PyDatasets, PyTorch's DataLoader."""
from graphnet.training.data.adapt import adapt as adapt
from graphnet.training.data.adapt import split_validation as split_validation
from graphnet.training.data.batches import Batches as Batches
from graphnet.training.data.py_dataset import PyDataset as PyDataset

__all__ = [
    "Batches", "PyDataset", "adapt", "split_validation",
]
