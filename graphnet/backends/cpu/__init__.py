"""The CPU backend: shape-generic kernels over a SIMD vector type, called by address from a flat plan."""
