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
from graphnet.ops.scaling import *
from graphnet.ops.scatter import *
from graphnet.ops.shape import *
from graphnet.ops.special import *
from graphnet.ops.statistics import *
from graphnet.ops.windows import *

__all__ = [
    "abs", "absolute", "add", "all", "allclose", "amax", "amin", "any", "append", "arange", "arccos", "arccosh", "arcsin", "arcsinh", "arctan",
    "arctan2", "arctanh", "argmax", "argmin", "argpartition", "argsort", "array", "array_split", "associative_scan", "average", "average_pool",
    "bartlett", "batch_normalization", "binary_crossentropy", "bincount", "bitwise_and", "bitwise_invert", "bitwise_left_shift", "bitwise_not",
    "bitwise_or", "bitwise_right_shift", "bitwise_xor", "blackman", "broadcast_to", "cast", "categorical_crossentropy", "cbrt", "cdist", "ceil",
    "celu", "cholesky", "cholesky_inverse", "clip", "concatenate", "cond", "conv", "conv_transpose", "convert_to_numpy", "convert_to_tensor",
    "copy", "corrcoef", "correlate", "cos", "cosh", "count_nonzero", "cross", "cumprod", "cumsum", "deg2rad", "depth_to_space", "depthwise_conv",
    "det", "diag", "diagflat", "diagonal", "diff", "digitize", "divide", "divide_no_nan", "dot", "dot_product_attention", "dsplit", "dstack",
    "dtype", "eigh", "einsum", "elu", "empty", "empty_like", "equal", "erf", "erfc", "erfinv", "exp", "exp2", "expand_dims", "expm1", "eye",
    "fabs", "flip", "fliplr", "flipud", "floor", "floor_divide", "fmax", "fmin", "fmod", "fori_loop", "full", "full_like", "gcd", "gelu",
    "get_item", "glu", "greater", "greater_equal", "hamming", "hanning", "hard_shrink", "hard_sigmoid", "hard_silu", "hard_swish", "hard_tanh",
    "heaviside", "histogram", "hsplit", "hstack", "hypot", "i0", "identity", "image", "in_top_k", "inner", "inv", "is_tensor", "isclose",
    "isfinite", "isin", "isinf", "isnan", "isneginf", "isposinf", "kaiser", "kron", "layer_normalization", "lcm", "ldexp", "leaky_relu",
    "left_shift", "less", "less_equal", "linalg", "linspace", "log", "log10", "log1p", "log2", "log_sigmoid", "log_softmax", "logaddexp",
    "logaddexp2", "logdet", "logical_and", "logical_not", "logical_or", "logical_xor", "logspace", "logsumexp", "lstsq", "map", "matmul", "max",
    "max_pool", "maximum", "mean", "median", "meshgrid", "min", "minimum", "mish", "mod", "moments", "moveaxis", "multi_hot", "multiply",
    "nan_to_num", "nanmax", "nanmean", "nanmin", "nanprod", "nanstd", "nansum", "nanvar", "ndim", "negative", "nextafter", "nn", "nonzero",
    "norm", "normalize", "not_equal", "numpy", "one_hot", "ones", "ones_like", "outer", "pad", "percentile", "pinv", "power", "prod", "psnr",
    "ptp", "qr", "quantile", "rad2deg", "ravel", "reciprocal", "relu", "relu6", "repeat", "reshape", "right_shift", "rms_normalization", "roll",
    "rot90", "round", "rsqrt", "saturate_cast", "scan", "scatter", "scatter_update", "searchsorted", "segment_max", "segment_min",
    "segment_prod", "segment_sum", "select", "selu", "separable_conv", "shape", "sigmoid", "sign", "signbit", "silu", "sin", "sinc", "sinh",
    "size", "slice", "slice_update", "slogdet", "soft_shrink", "softmax", "softplus", "softsign", "solve", "solve_triangular", "sort",
    "space_to_depth", "sparse_categorical_crossentropy", "sparse_plus", "sparse_sigmoid", "sparsemax", "split", "sqrt", "square", "squareplus",
    "squeeze", "stack", "std", "stop_gradient", "subtract", "sum", "svd", "swapaxes", "swish", "switch", "take", "take_along_axis", "tan",
    "tanh", "tanh_shrink", "tensordot", "threshold", "tile", "top_k", "trace", "transpose", "trapezoid", "tri", "tril", "triu", "true_divide",
    "trunc", "unique", "unravel_index", "unstack", "vander", "var", "vdot", "vectorized_map", "vsplit", "vstack", "where", "while_loop", "zeros",
    "zeros_like",
]


def __dir__() -> list[str]:
    return __all__  # without the files that the names are from
