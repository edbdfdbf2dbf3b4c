"""A SIMD vector of float32 as a numba type, so that kernels are plain Python and still run at the processor's peak.

The type and its operators + - * / are in `typed`, its functions here. `llvm.maxnum` loses a NaN, so `at_least` is compare and
select, which LLVM turns into one instruction whose operand order keeps a NaN of x. Addresses are int64, offsets count elements
of float32.
"""
from collections.abc import Callable, Sequence
from typing import Any

from llvmlite import ir

from graphnet.backends.cpu.cache import intrinsic
from graphnet.backends.cpu.llvm import declared
from graphnet.backends.cpu.machine import host_lanes

LANES = host_lanes()
REGISTERS = 32 if LANES != 8 else 16  # AVX-512 and NEON have 32 vector registers, AVX2 has 16
F32, I8, I32, I64, I1 = ir.FloatType(), ir.IntType(8), ir.IntType(32), ir.IntType(64), ir.IntType(1)
VEC, IVEC, MASK = ir.VectorType(F32, LANES), ir.VectorType(I32, LANES), ir.VectorType(I1, LANES)
BYTES = ir.VectorType(I8, LANES)
ZEROS = ir.Constant(VEC, [0.0] * LANES)


# ---- pieces of LLVM code, used by the intrinsics here and by those of tiles

def spread(builder: Any, scalar: Any, kind: Any = VEC) -> Any:
    """A scalar in every lane."""
    undefined = ir.Constant(kind, ir.Undefined)
    lanes = ir.Constant(IVEC, [0] * LANES)
    return builder.shuffle_vector(builder.insert_element(undefined, scalar, I32(0)), undefined, lanes)


def called(builder: Any, name: str, kind: Any, args: Sequence[Any]) -> Any:
    """The LLVM intrinsic of that name for this vector width."""
    return builder.call(declared(builder, f"llvm.{name}.v{LANES}f32", kind), args)


def fused(builder: Any, x: Any, y: Any, z: Any) -> Any:
    """x * y + z, rounded once."""
    return called(builder, "fma", ir.FunctionType(VEC, [VEC] * 3), [x, y, z])


def pointer(builder: Any, address: Any, offset: Any, to: Any = VEC, of: Any = F32) -> Any:
    """A pointer to `to`, `offset` elements of `of` behind the address."""
    return builder.bitcast(builder.gep(builder.inttoptr(address, of.as_pointer()), [offset]), to.as_pointer())


def first(builder: Any, count: Any) -> Any:
    """The mask of the first `count` lanes."""
    bounded_count = builder.select(builder.icmp_signed("<", count, I64(LANES)), count, I64(LANES))
    lanes = ir.Constant(IVEC, list(range(LANES)))
    return builder.icmp_signed("<", lanes, spread(builder, builder.trunc(bounded_count, I32), IVEC))


def masked_load(builder: Any, where: Any, mask: Any) -> Any:
    """The lanes of the mask, zero elsewhere; memory behind the other lanes is not touched."""
    kind = ir.FunctionType(VEC, [VEC.as_pointer(), I32, MASK, VEC])
    return called(builder, "masked.load", kind, [where, I32(4), mask, ZEROS])


def masked_store(builder: Any, vector: Any, where: Any, mask: Any) -> None:
    kind = ir.FunctionType(ir.VoidType(), [VEC, VEC.as_pointer(), I32, MASK])
    called(builder, "masked.store", kind, [vector, where, I32(4), mask])


def prefetch(builder: Any, address: Any) -> None:
    """Asks for the line at an address to be brought into the second cache; any address will do, also one of no memory."""
    to = I8.as_pointer()
    kind = ir.FunctionType(ir.VoidType(), [to, I32, I32, I32])
    read, second, data = I32(0), I32(2), I32(1)
    where = builder.inttoptr(address, to)
    builder.call(declared(builder, "llvm.prefetch.p0", kind), [where, read, second, data])


def bounded(builder: Any, x: Any, low: Any) -> Any:
    """low where x is below it, else x: a NaN of x stays."""
    return builder.select(builder.fcmp_ordered("<", x, low), low, x)


# ---- intrinsics

# the types of `typed`, by name: numba is not needed to speak of them
A, V, REAL, DOUBLE, VOID = "intp", "vector", "float32", "float64", "void"


def define(name: str, result: str, kinds: Sequence[str], build: Callable[..., Any]) -> Any:
    """An intrinsic whose LLVM code is build(builder, *args); a float32 is taken where a vector is due."""
    def described(types: Any, args: Sequence[Any]) -> Any:
        given = [types.float32 if k == V and a != types.vector else getattr(types, k) for k, a in zip(kinds, args, strict=True)]

        def codegen(context: Any, builder: Any, sig: Any, values: Any) -> Any:
            values = [spread(builder, v) if k == V and g != types.vector else v
                      for v, k, g in zip(values, kinds, given, strict=True)]
            out = build(builder, *values)
            return context.get_dummy_value() if result == VOID else out
        return getattr(types, result)(*given), codegen

    takes = (  # numba reads the number of arguments off the function
        lambda types: described(types, ()),
        lambda types, a: described(types, (a,)),
        lambda types, a, b: described(types, (a, b)),
        lambda types, a, b, c: described(types, (a, b, c)),
        lambda types, a, b, c, d: described(types, (a, b, c, d)),
        lambda types, a, b, c, d, e: described(types, (a, b, c, d, e)),
        lambda types, a, b, c, d, e, f: described(types, (a, b, c, d, e, f)),
    )[len(kinds)]
    takes.__name__ = takes.__qualname__ = name
    return intrinsic()(takes)


_unary = ir.FunctionType(VEC, [VEC])
_binary = ir.FunctionType(VEC, [VEC, VEC])


def _compare(relation: str) -> Callable[..., Any]:
    return lambda b, x, y, yes, no: b.select(b.fcmp_ordered(relation, x, y), yes, no)


def _choice(builder: Any, truth: Any, yes: Any, no: Any) -> Any:
    return builder.select(builder.icmp_unsigned("!=", truth, ir.Constant(BYTES, [0] * LANES)), yes, no)


def _some_bytes(builder: Any, address: Any, offset: Any, count: Any) -> Any:
    kind = ir.FunctionType(BYTES, [BYTES.as_pointer(), I32, MASK, BYTES])
    where, none = pointer(builder, address, offset, BYTES, I8), ir.Constant(BYTES, [0] * LANES)
    return builder.call(declared(builder, f"llvm.masked.load.v{LANES}i8", kind), [where, I32(1), first(builder, count), none])


# memory: load(address, offset), store(address, offset, x), and the first n lanes of each
load = define("load", V, (A, A), lambda b, p, i: b.load(pointer(b, p, i), align=4))
store = define("store", VOID, (A, A, V), lambda b, p, i, x: b.store(x, pointer(b, p, i), align=4))
load_part = define("load_part", V, (A, A, A), lambda b, p, i, n: masked_load(b, pointer(b, p, i), first(b, n)))
store_part = define("store_part", VOID, (A, A, A, V),
                    lambda b, p, i, n, x: masked_store(b, x, pointer(b, p, i), first(b, n)))
# only(n, x, y): x in the first n lanes, y in the others
only = define("only", V, (A, V, V), lambda b, n, x, y: b.select(first(b, n), x, y))
full = define("full", V, (V,), lambda b, x: x)
fma = define("fma", V, (V, V, V), fused)
at_least = define("at_least", V, (V, V), bounded)
at_most = define("at_most", V, (V, V), lambda b, x, h: b.select(b.fcmp_ordered(">", x, h), h, x))
# above(x, limit, yes, no), below(...), equal(...): yes where the ordered comparison holds, else no (so no for a NaN)
above = define("above", V, (V, V, V, V), _compare(">"))
below = define("below", V, (V, V, V, V), _compare("<"))
equal = define("equal", V, (V, V, V, V), _compare("=="))
# chosen(address, offset, yes, no): yes in the lanes whose byte is not 0, else no; of the first n bytes alone, no in the others
chosen = define("chosen", V, (A, A, V, V), lambda b, p, i, yes, no: _choice(
    b, b.load(pointer(b, p, i, BYTES, I8), align=1), yes, no))
chosen_part = define("chosen_part", V, (A, A, A, V, V), lambda b, p, i, n, yes, no: _choice(
    b, _some_bytes(b, p, i, n), yes, no))
# isnan(x, yes, no)
isnan = define("isnan", V, (V, V, V), lambda b, x, yes, no: b.select(b.fcmp_unordered("uno", x, x), yes, no))
rounded = define("rounded", V, (V,), lambda b, x: called(b, "rint", _unary, [x]))
floor = define("floor", V, (V,), lambda b, x: called(b, "floor", _unary, [x]))
ceil = define("ceil", V, (V,), lambda b, x: called(b, "ceil", _unary, [x]))
sqrt = define("sqrt", V, (V,), lambda b, x: called(b, "sqrt", _unary, [x]))
absolute = define("absolute", V, (V,), lambda b, x: called(b, "fabs", _unary, [x]))
copysign = define("copysign", V, (V, V), lambda b, x, y: called(b, "copysign", _binary, [x, y]))


def _constant(value: int) -> Any:
    return ir.Constant(IVEC, [value] * LANES)


# power(n): 2**n for whole n in -126..127
power = define("power", V, (V,), lambda b, n: b.bitcast(
    b.shl(b.add(b.fptosi(n, IVEC), _constant(127)), _constant(23)), VEC))
# exponent(x) and mantissa(x) of a positive normal x: x == mantissa * 2**exponent, mantissa in [1/2, 1)
exponent = define("exponent", V, (V,), lambda b, x: b.sitofp(
    b.sub(b.lshr(b.bitcast(x, IVEC), _constant(23)), _constant(126)), VEC))
mantissa = define("mantissa", V, (V,), lambda b, x: b.bitcast(
    b.or_(b.and_(b.bitcast(x, IVEC), _constant(0x007FFFFF)), _constant(0x3F000000)), VEC))

# scalars out of memory: int64, int32, uint8 and float32 at an index, and float32 written there
word = define("word", A, (A, A), lambda b, p, i: b.load(pointer(b, p, i, I64, I64)))
put_word = define("put_word", VOID, (A, A, A), lambda b, p, i, x: b.store(x, pointer(b, p, i, I64, I64)))
word32 = define("word32", A, (A, A), lambda b, p, i: b.sext(b.load(pointer(b, p, i, I32, I32)), I64))
byte = define("byte", A, (A, A), lambda b, p, i: b.zext(b.load(pointer(b, p, i, I8, I8)), I64))
number = define("number", REAL, (A, A), lambda b, p, i: b.load(pointer(b, p, i, F32), align=4))
put_number = define("put_number", VOID, (A, A, REAL),
                    lambda b, p, i, x: b.store(x, pointer(b, p, i, F32), align=4))
# real(row, i): word i of a row, a float64 by its bits, as float32
real = define("real", REAL, (A, A),
              lambda b, p, i: b.fptrunc(b.load(pointer(b, p, i, ir.DoubleType(), ir.DoubleType())), F32))


def _reduce(name: str) -> Callable[..., Any]:
    """Horizontal reduction by halves: a fixed tree."""
    def build(builder: Any, x: Any) -> Any:
        width = LANES
        while width > 1:
            width //= 2
            lanes = ir.Constant(IVEC, [(i + width) % LANES for i in range(LANES)])
            other = builder.shuffle_vector(x, ir.Constant(VEC, ir.Undefined), lanes)
            if name == "sum":
                x = builder.fadd(x, other)
            else:  # the unordered comparison takes x where it is a NaN; the select below takes other where that is one
                keep = builder.fcmp_unordered(">" if name == "max" else "<", x, other)
                keep = builder.and_(keep, builder.not_(builder.fcmp_unordered("uno", other, other)))
                x = builder.select(builder.or_(keep, builder.fcmp_unordered("uno", x, x)), x, other)
        return builder.extract_element(x, I32(0))
    return build


total = define("total", REAL, (V,), _reduce("sum"))
largest = define("largest", REAL, (V,), _reduce("max"))
smallest = define("smallest", REAL, (V,), _reduce("min"))
