"""The layers that nearly every model has."""
from graphnet.layers.core.dense import Dense as Dense
from graphnet.layers.core.einsum_dense import EinsumDense as EinsumDense
from graphnet.layers.core.embedding import Embedding as Embedding
from graphnet.layers.core.identity import Identity as Identity
from graphnet.layers.core.input_layer import Input as Input
from graphnet.layers.core.input_layer import InputLayer as InputLayer
from graphnet.layers.core.lambda_layer import Lambda as Lambda
from graphnet.layers.core.masking import Masking as Masking
from graphnet.layers.core.wrapper import Wrapper as Wrapper

__all__ = ["Dense", "EinsumDense", "Embedding", "Identity", "Input", "InputLayer", "Lambda", "Masking", "Wrapper"]
