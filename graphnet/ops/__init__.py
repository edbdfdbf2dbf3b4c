"""Functions of tensors and arrays, with Keras 3's names: on arrays they compute, on symbolic tensors they build the graph."""
from graphnet.ops import convert as convert
from graphnet.ops import image as image
from graphnet.ops import linalg as linalg
from graphnet.ops import nn as nn
from graphnet.ops import numpy as numpy
from graphnet.ops import operators as operators
from graphnet.ops import random as random
from graphnet.ops import recurrent as recurrent
from graphnet.ops.activation import *
from graphnet.ops.arithmetic import *
from graphnet.ops.contraction import *
from graphnet.ops.control import *
from graphnet.ops.convert import *
from graphnet.ops.convolution import *
from graphnet.ops.creation import *
from graphnet.ops.crossentropy import *
from graphnet.ops.decomposition import *
from graphnet.ops.einsum import *
from graphnet.ops.elementwise import *
from graphnet.ops.indexing import *
from graphnet.ops.joining import *
from graphnet.ops.normalization import *
from graphnet.ops.ordering import *
from graphnet.ops.pooling import *
from graphnet.ops.products import *
from graphnet.ops.reduction import *
from graphnet.ops.scatter import *
from graphnet.ops.shape import *
from graphnet.ops.special import *
from graphnet.ops.statistics import *
from graphnet.ops.windows import *
