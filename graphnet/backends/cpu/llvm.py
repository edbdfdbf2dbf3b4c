"""Pieces of LLVM code that know of no vectors: declarations, loops and places on the stack."""
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from llvmlite import ir


def declared(builder: Any, name: str, kind: Any) -> Any:
    """The function of that name and type, which the module at work calls from now on."""
    module = builder.module
    return module.globals.get(name) or ir.Function(module, kind, name)


def cell(builder: Any, value: Any) -> Any:
    """A place on the stack that holds a value; made at the function's entry, so that LLVM can keep it in a register."""
    with builder.goto_entry_block():
        place = builder.alloca(value.type)
    builder.store(value, place)
    return place


@contextmanager
def loop(builder: Any, start: Any, stop: Any, step: Any) -> Iterator[Any]:
    """Code for each index of range(start, stop, step), step above 0; gives the index."""
    before = builder.basic_block
    check, body, end = (builder.append_basic_block(f"for.{name}") for name in ("check", "body", "end"))
    builder.branch(check)
    builder.position_at_end(check)
    index = builder.phi(start.type, "index")
    builder.cbranch(builder.icmp_signed("<", index, stop), body, end)
    builder.position_at_end(body)
    yield index
    index.add_incoming(start, before)
    index.add_incoming(builder.add(index, step, flags=["nsw"]), builder.basic_block)
    builder.branch(check)
    builder.position_at_end(end)
