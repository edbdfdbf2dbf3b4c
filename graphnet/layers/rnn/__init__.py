"""Recurrent layers, their cells, and wrappers of layers over steps."""
from graphnet.layers.rnn.bidirectional import Bidirectional as Bidirectional
from graphnet.layers.rnn.conv_lstm import ConvLSTM1D as ConvLSTM1D
from graphnet.layers.rnn.conv_lstm import ConvLSTM2D as ConvLSTM2D
from graphnet.layers.rnn.conv_lstm import ConvLSTM3D as ConvLSTM3D
from graphnet.layers.rnn.gru import GRU as GRU
from graphnet.layers.rnn.gru import GRUCell as GRUCell
from graphnet.layers.rnn.lstm import LSTM as LSTM
from graphnet.layers.rnn.lstm import LSTMCell as LSTMCell
from graphnet.layers.rnn.rnn import RNN as RNN
from graphnet.layers.rnn.simple_rnn import SimpleRNN as SimpleRNN
from graphnet.layers.rnn.simple_rnn import SimpleRNNCell as SimpleRNNCell
from graphnet.layers.rnn.stacked_cells import StackedRNNCells as StackedRNNCells
from graphnet.layers.rnn.time_distributed import TimeDistributed as TimeDistributed

__all__ = ["GRU", "LSTM", "RNN", "Bidirectional", "ConvLSTM1D", "ConvLSTM2D", "ConvLSTM3D", "GRUCell", "LSTMCell", "SimpleRNN",
           "SimpleRNNCell",
           "StackedRNNCells", "TimeDistributed"]
