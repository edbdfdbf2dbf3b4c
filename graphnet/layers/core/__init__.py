"""Input, Dense, Embedding and other layers that stand on their own."""
from graphnet.layers.core.dense import Dense as Dense
from graphnet.layers.core.input_layer import Input as Input
from graphnet.layers.core.input_layer import InputLayer as InputLayer
