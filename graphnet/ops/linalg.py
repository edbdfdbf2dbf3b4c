"""Linear algebra under Keras's name for it, `graphnet.ops.linalg`; all of it is in `graphnet.ops` too."""
from graphnet.ops.contraction import MatMul as MatMul
from graphnet.ops.contraction import dot, matmul, tensordot
from graphnet.ops.decomposition import (
           cholesky,
           cholesky_inverse,
           det,
           eigh,
           inv,
           logdet,
           lstsq,
           pinv,
           qr,
           slogdet,
           solve,
           solve_triangular,
           svd,
)
from graphnet.ops.normalization import norm

__all__ = ["cholesky", "cholesky_inverse", "det", "dot", "eigh", "inv", "logdet", "lstsq", "matmul", "norm", "pinv", "qr",
           "slogdet", "solve",
           "solve_triangular", "svd", "tensordot"]
