"""Neural network functions under Keras's name for them, `graphnet.ops.nn`; all of them are in `graphnet.ops` too."""
from graphnet.ops.activation import *
from graphnet.ops.convolution import *
from graphnet.ops.crossentropy import *
from graphnet.ops.normalization import *
from graphnet.ops.pooling import *
from graphnet.ops.scaling import *
