"""Layers, with Keras 3's names, arguments and defaults; one file a layer, one folder a family."""
from graphnet.layers.activations import *
from graphnet.layers.attention import *
from graphnet.layers.convolutional import *
from graphnet.layers.core import *
from graphnet.layers.input_spec import InputSpec as InputSpec
from graphnet.layers.layer import Layer as Layer
from graphnet.layers.merging import *
from graphnet.layers.normalization import *
from graphnet.layers.pooling import *
from graphnet.layers.regularization import *
from graphnet.layers.reshaping import *
from graphnet.layers.rnn import *
from graphnet.layers.serialization import deserialize as deserialize
from graphnet.layers.serialization import serialize as serialize
