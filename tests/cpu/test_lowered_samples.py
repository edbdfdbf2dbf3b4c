"""The samples that ops bring along, through their kernels, against their references."""
import numpy as np
import pytest
from lowered import close, lowered, same

from graphnet.ops.indexing import OneHot, Take, TakeAlongAxis
from graphnet.ops.pooling import AveragePool, MaxPool
from graphnet.ops.reduction import (
    All_,
    Any_,
    Argmax,
    Argmin,
    Max,
    Mean,
    Min,
    Prod,
    Sum,
)
from graphnet.ops.scaling import LogSoftmax, Normalize, Softmax
from graphnet.ops.shape import Concatenate, Pad, Repeat

OPS = (All_, Any_, Argmax, Argmin, AveragePool, Concatenate, LogSoftmax, Max, MaxPool, Mean, Min, Normalize, OneHot, Pad, Prod,
       Repeat, Softmax, Sum, Take, TakeAlongAxis)


@pytest.mark.parametrize("kind", OPS, ids=lambda kind: kind.__name__)
@pytest.mark.parametrize("layout, to", [("dense", "dense"), ("padded", "padded")])
def test_samples(kind, layout, to):
    for op, arrays in kind().samples():
        wanted = op.reference(*arrays)
        if not wanted.size:
            continue
        found = lowered(op, *arrays, layout=layout, to=to)
        if wanted.dtype.kind != "f":
            same(found, wanted)
        elif found is not None:
            close(found, op.reference(*[a.astype("float64") if a.dtype.kind == "f" else a for a in arrays]), 3e-6, 1e-38)
            assert found.dtype == np.float32
