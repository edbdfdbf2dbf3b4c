"""Layers, with Keras 3's names, arguments and defaults; one file a layer, one folder a family."""
from graphnet.layers.convolutional import *
from graphnet.layers.core import *
from graphnet.layers.input_spec import InputSpec as InputSpec
from graphnet.layers.layer import Layer as Layer
from graphnet.layers.normalization import *
from graphnet.layers.pooling import *
from graphnet.layers.reshaping import *
