"""Block kernels: one small kernel for each formula of an elementwise op, written from it, and compiled when first used.

A block kernel computes a block of elements. Its arguments are an instruction of a tape (`tape.py`), the number of elements,
and the slots that the instruction names: each slot is an address and a step, 1 for contiguous float32 and 0 for a vector whose
lanes are all alike. Truth is 1.0 and 0.0. The kernel for ``tanh({0})`` is this function::

    def block_tanh_<hash>(row, begin, end, scratch):
        y = word(scratch, word(row, 1))
        a0, s0 = word(scratch, word(row, 2)), 4 * LANES * word(scratch, word(row, 2) + 1)
        for i in range(end // LANES):
            x0 = load(a0, 0)
            store(y, 0, vectormath.tanh(x0))
            y, a0 = y + 4 * LANES, a0 + s0
        n = end % LANES
        if n:
            x0 = load_part(a0, 0, n)
            store_part(y, 0, n, vectormath.tanh(x0))

The hash in its name is that of its source: numba's cache looks at names, bytecode and files, and the formula is in none of them.
"""
import ast
import functools
import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from graphnet.backends.cpu import simd, vectormath, widemath
from graphnet.backends.cpu.cache import Kernel, kernel
from graphnet.backends.cpu.simd import LANES, load, load_part, store, store_part, word

f = np.float32
# what the functions of formulas are called here, where the name alone does not say it
ALIASES = {"isnan": "is_nan", "isinf": "is_inf", "isfinite": "is_finite"}
PLAIN = ("at_least", "at_most", "absolute", "floor", "ceil", "rounded", "sqrt", "copysign")  # those of simd
OPERATORS: dict[type, str] = {ast.Add: "add", ast.Sub: "subtract", ast.Mult: "multiply", ast.Div: "divide"}
CHEAP, COSTLY = 6.0, 16.0  # multiply-adds that take as long as an operator and a function, for one element
# what generated functions look names up in; it must be this module's own namespace, or cached code could not be loaded
SCOPE: dict[str, Any] = globals()
USED = (LANES, load, load_part, simd, store, store_part, widemath, word)


@dataclass(frozen=True, slots=True)
class Block:
    """The block kernel of a formula.

    Args:
        kernel: see above.
        operands: what its operands are, in order: the number of an op's operand, or the name of one of its fields.
        work: multiply-adds that take as long as one element.
    """

    kernel: Kernel
    operands: tuple[int | str, ...]
    work: float


class Writer(ast.NodeTransformer):
    """Turns the expression of a formula into one of vectors."""

    def __init__(self) -> None:
        self.operands: list[int | str] = []
        self.words: list[str] = []
        self.work = 0.0

    def variable(self, operand: int | str) -> ast.expr:
        if operand not in self.operands:
            self.operands.append(operand)
        return ast.Name(f"x{self.operands.index(operand)}", ast.Load())

    def visit_Name(self, node: ast.Name) -> ast.expr:
        return self.variable(int(node.id[1:]) if node.id.startswith("_") else node.id)

    def visit_Constant(self, node: ast.Constant) -> ast.expr:
        return ast.Call(ast.Name("f", ast.Load()), [ast.Constant(float(node.value))], [])  # type: ignore[arg-type]

    def visit_UnaryOp(self, node: ast.UnaryOp) -> ast.expr:
        if not isinstance(node.op, ast.USub):
            raise LookupError(ast.unparse(node))
        return self.visit_Call(ast.Call(ast.Name("negative", ast.Load()), [node.operand], []))

    def visit_BinOp(self, node: ast.BinOp) -> ast.expr:
        if type(node.op) not in OPERATORS:
            raise LookupError(ast.unparse(node))
        self.words.append(OPERATORS[type(node.op)])
        self.work += CHEAP
        return ast.BinOp(self.visit(node.left), node.op, self.visit(node.right))

    def visit_Call(self, node: ast.Call) -> ast.expr:
        name = node.func.id if isinstance(node.func, ast.Name) else ""
        self.words.append(name)
        self.work += CHEAP if name in PLAIN else COSTLY
        name = ALIASES.get(name, name)
        module = "simd" if name in PLAIN else "vectormath" if hasattr(vectormath, name) else "widemath"
        if not hasattr(SCOPE[module], name):
            raise LookupError(name)
        return ast.Call(ast.parse(f"{module}.{name}", mode="eval").body, [self.visit(a) for a in node.args], [])


@functools.cache
def block(formula: str) -> Block | None:
    """The block kernel of a formula; None where the formula uses a function that there is no vector form of.

    Args:
        formula: an expression of operands ``{0}``, ``{1}``, ``{2}``, the op's fields by name, numbers, ``+ - * /`` and functions
            of `vectormath`, `widemath` and (those of PLAIN) `simd`.

    Example:

        >>> block("at_most(at_least({0}, low), high)").operands
        (0, 'low', 'high')
        >>> block("zeta({0})") is None
        True
    """
    writer = Writer()
    try:
        body = ast.unparse(ast.fix_missing_locations(writer.visit(ast.parse(formula.format("_0", "_1", "_2", "_3"), mode="eval").body)))
    except LookupError:
        return None
    source = _source("NAME", body, len(writer.operands))
    name = f"block_{'_'.join(writer.words) or 'copy'}_{hashlib.sha256(source.encode()).hexdigest()[:10]}"
    made: dict[str, Callable[..., None]] = {}
    exec(compile(_source(name, body, len(writer.operands)), __file__, "exec"), SCOPE, made)
    made[name].__doc__ = formula
    return Block(kernel(made[name]), tuple(writer.operands), writer.work or CHEAP)


def _source(name: str, body: str, count: int) -> str:
    operands = range(count)
    lines = [f"def {name}(row, begin, end, scratch):", "    y = word(scratch, word(row, 1))"]
    for k in operands:
        lines.append(f"    a{k}, s{k} = word(scratch, word(row, {k + 2})), 4 * LANES * word(scratch, word(row, {k + 2}) + 1)")
    lines += ["    for i in range(end // LANES):", *[f"        x{k} = load(a{k}, 0)" for k in operands],
              f"        store(y, 0, {body})",
              f"        y, {', '.join(f'a{k}' for k in operands)} = y + 4 * LANES, {', '.join(f'a{k} + s{k}' for k in operands)}"]
    lines += ["    n = end % LANES", "    if n:", *[f"        x{k} = load_part(a{k}, 0, n)" for k in operands],
              f"        store_part(y, 0, n, {body})", ""]
    return "\n".join(lines)
