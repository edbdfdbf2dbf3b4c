"""Activations as layers."""
from graphnet.layers.activations.activation import Activation as Activation
from graphnet.layers.activations.rectified import ELU as ELU
from graphnet.layers.activations.rectified import LeakyReLU as LeakyReLU
from graphnet.layers.activations.rectified import PReLU as PReLU
from graphnet.layers.activations.rectified import ReLU as ReLU
from graphnet.layers.activations.softmax import Softmax as Softmax

__all__ = ["ELU", "Activation", "LeakyReLU", "PReLU", "ReLU", "Softmax"]
