"""Numpy's functions under Keras's name for them, `graphnet.ops.numpy`; all of them are in `graphnet.ops` too."""
from graphnet.ops.arithmetic import *
from graphnet.ops.contraction import *
from graphnet.ops.convert import *
from graphnet.ops.creation import *
from graphnet.ops.einsum import *
from graphnet.ops.elementwise import *
from graphnet.ops.indexing import *
from graphnet.ops.joining import *
from graphnet.ops.ordering import *
from graphnet.ops.products import *
from graphnet.ops.reduction import *
from graphnet.ops.shape import *
from graphnet.ops.special import *
from graphnet.ops.statistics import *
from graphnet.ops.windows import *
