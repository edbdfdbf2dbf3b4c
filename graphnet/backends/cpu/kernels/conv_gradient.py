"""The cotangents of convolutions' kernels, as sums of outer products or by Winograd; those of inputs are in `convolution`."""
from typing import Any

from graphnet.backends.cpu.kernels.contraction import runs
from graphnet.backends.cpu.kernels.convolution import haloed, served, window_pads
from graphnet.backends.cpu.kernels.outer import Outer, add_outer
from graphnet.backends.cpu.kernels.winograd import Window
from graphnet.backends.cpu.kernels.winograd_gradient import add_gradient, choose_gradient
from graphnet.backends.cpu.lowering import lowers
from graphnet.backends.cpu.operand import Operand
from graphnet.backends.cpu.plan import Builder
from graphnet.ops.convolution import ConvGradKernel


@lowers(ConvGradKernel)
def lower_grad_kernel(op: ConvGradKernel, inputs: list[Operand], outputs: list[Operand], builder: Builder,
                      epilogue: Any = None) -> bool:
    """Of a convolution of 1 to 3 spatial axes, with strides, dilation and groups."""
    x, g = inputs
    y, = outputs
    if not served(x, g, y) or len(op.strides) > 3 or not x.size or not g.size:
        return False
    if g.strides[-1] != 1:
        g = builder.contiguous(g)
    pads = window_pads(op, x.shape[1:-1], op.size)
    m = choose_gradient(op, x.shape, g.shape)
    if m is not None:
        add_gradient(x, g, Window(pads[0][0], pads[1][0]), m, y, builder)
        return True
    wide = haloed(x, pads, builder)
    spatial = wide.strides[1:-1]
    axes = [[i * d * s for i in range(n)] for n, d, s in zip(op.size, op.dilation, spatial, strict=True)]
    channels, columns = y.shape[-2], g.shape[-1] // op.groups
    offsets, run = runs(axes, channels)
    steps = (wide.strides[0], *[s * t for s, t in zip(op.strides, spatial, strict=True)])
    items = tuple([(i * channels, i * columns, i * columns) for i in range(op.groups)])
    s = Outer(wide, g, g.shape[:-1], steps, g.strides[:-1], offsets, run, columns, items)
    add_outer(s, y, g.shape[-1], builder)
    return True
