"""Small data sets to try models on: each module has Keras's `load_data`.

Files are looked for at the path that is given, in GRAPHNET_HOME/datasets, in Keras's own cache, and else downloaded.
"""
from graphnet.datasets import boston_housing as boston_housing
from graphnet.datasets import california_housing as california_housing
from graphnet.datasets import cifar10 as cifar10
from graphnet.datasets import cifar100 as cifar100
from graphnet.datasets import fashion_mnist as fashion_mnist
from graphnet.datasets import imdb as imdb
from graphnet.datasets import mnist as mnist
from graphnet.datasets import reuters as reuters

__all__ = [
    "boston_housing", "california_housing", "cifar10", "cifar100", "fashion_mnist", "imdb", "mnist", "reuters",
]
