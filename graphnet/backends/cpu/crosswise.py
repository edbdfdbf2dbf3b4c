"""As many dot products as a vector has lanes, as LLVM functions: their sums become the lanes of one vector.

Vectors go along what is summed. In the end there is one vector for each dot product, whose lanes are still to be added: two at a
time they are folded into one that holds both their halves' sums, which takes a fifth of the steps of adding up each alone. The
order of additions is that of `simd.total`, whichever lane a dot product is.
"""
from typing import Any

from llvmlite import ir

from graphnet.backends.cpu.cache import intrinsic
from graphnet.backends.cpu.llvm import cell, loop
from graphnet.backends.cpu.simd import I64, IVEC, LANES, ZEROS, first, fused, pointer
from graphnet.backends.cpu.tiles import LATENCY, lanes

INTEGERS = "x x_step columns column count offsets segments run w w_step made".split()
SIDE = min(LANES, LATENCY)  # dot products that are summed up at a time: more streams out of memory are followed less well
WORD = I64(4)  # bytes of an element


def folded(builder: Any, vectors: list[Any]) -> Any:
    """The vector whose lane i is the sum of all lanes of vector i; there are LANES of them."""
    width = LANES
    while width > 1:
        half = width // 2
        low = [start + i for start in range(0, 2 * LANES, width) for i in range(half)]
        halves = [ir.Constant(IVEC, low), ir.Constant(IVEC, [i + half for i in low])]
        pairs = zip(vectors[::2], vectors[1::2], strict=True)
        vectors = [builder.fadd(*[builder.shuffle_vector(a, b, taken) for taken in halves]) for a, b in pairs]
        width = half
    return vectors[0]


class Dots:
    """The LLVM function of LANES dot products; `shared` if all are of one column of w."""

    def __init__(self, module: Any, name: str, shared: bool) -> None:
        self.function = ir.Function(module, ir.FunctionType(ir.VoidType(), [I64] * len(INTEGERS)), name)
        self.function.linkage = "internal"
        self.function.attributes.add("noinline")
        self.builder = b = ir.IRBuilder(self.function.append_basic_block("entry"))
        self.given = dict(zip(INTEGERS, self.function.args, strict=True))
        self.xs, self.ws = self._places(shared)
        self.cells = [cell(b, ZEROS) for _ in range(LANES)]
        for start in range(0, LANES, SIDE):
            self._sum(range(start, start + SIDE))
        b.store(folded(b, [b.load(place) for place in self.cells]), pointer(b, self.given["made"], I64(0)), align=4)
        b.ret_void()

    def _places(self, shared: bool) -> tuple[list[Any], list[Any]]:
        """The addresses of each dot product's position and column; those behind the last one are the last once more."""
        b, g = self.builder, self.given
        x_step, w_step = b.mul(g["x_step"], WORD), b.mul(g["w_step"], WORD)
        column, x, w = g["column"], g["x"], b.add(g["w"], b.mul(g["column"], w_step))
        xs, ws = [x], [w]
        for i in range(1, LANES):
            there = b.icmp_signed("<", I64(i), g["count"])
            if shared:
                x = b.add(x, b.select(there, x_step, I64(0)))
            else:
                following = b.add(column, I64(1))
                over = b.icmp_signed("==", following, g["columns"])  # then it is the next position's first column
                x = b.add(x, b.select(b.and_(there, over), x_step, I64(0)))
                w = b.select(there, b.select(over, g["w"], b.add(w, w_step)), w)
                column = b.select(over, I64(0), following)
                ws.append(w)
            xs.append(x)
        return xs, ws

    def _sum(self, which: range) -> None:
        """Those dot products, vector by vector."""
        b, g = self.builder, self.given
        whole = b.mul(b.sdiv(g["run"], I64(LANES)), I64(LANES))
        left = first(b, b.sub(g["run"], whole))
        with loop(b, I64(0), g["segments"], I64(1)) as segment:
            start = b.load(pointer(b, g["offsets"], segment, I64, I64))
            passed = b.mul(segment, g["run"])
            with loop(b, I64(0), whole, I64(LANES)) as k:
                self._multiply(b.add(start, k), b.add(passed, k), None, which)
            with b.if_then(b.icmp_signed("<", whole, g["run"])):
                self._multiply(b.add(start, whole), b.add(passed, whole), left, which)

    def _multiply(self, x_at: Any, w_at: Any, mask: Any, which: range) -> None:
        """Adds to each the product of a vector of x, that many elements behind its position, and one of w."""
        b = self.builder
        w = {i: lanes(b, pointer(b, self.ws[i], w_at), mask) for i in {i % len(self.ws) for i in which}}
        for i in which:
            v = lanes(b, pointer(b, self.xs[i], x_at), mask)
            b.store(fused(b, v, w[i % len(self.ws)], b.load(self.cells[i])), self.cells[i])


def _intrinsic(name: str, shared: bool) -> Any:
    def computed(types: Any, integers: Any) -> Any:
        def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            known = builder.module.globals.get(f"graphnet.{name}") or Dots(builder.module, f"graphnet.{name}", shared).function
            builder.call(known, [builder.extract_value(args[0], i) for i in range(len(INTEGERS))])
            return context.get_dummy_value()
        return types.void(types.Tuple((types.intp,) * len(INTEGERS))), codegen
    computed.__name__ = computed.__qualname__ = name
    return intrinsic()(computed)


# dots_of_column(integers) writes LANES sums to `made`, of which `count` count: over `segments` runs of `run` adjacent elements
# of x, which begin at `offsets`, times a column of w; each of the next position, `x_step` elements on.
dots_of_column = _intrinsic("dots_of_column", True)
# dots_of_columns(integers) does the same for `columns` of w, `w_step` elements apart: from `column` of the first position on, all
# columns of one position before those of the next.
dots_of_columns = _intrinsic("dots_of_columns", False)
