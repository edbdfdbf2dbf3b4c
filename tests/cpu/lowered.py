"""Runs one op through its lowering on operands with canaries at both ends, in several layouts and splits of the tasks."""
import ctypes
import importlib
import math
import mmap
from collections.abc import Sequence
from typing import Any

import numpy as np

from graphnet.backends.cpu.executor import allowed_threads
from graphnet.backends.cpu.lanes import NOBODY
from graphnet.backends.cpu.lowering import lowering_of
from graphnet.backends.cpu.operand import Operand, packed_strides
from graphnet.backends.cpu.plan import Builder
from graphnet.backends.numpy.interpreter import evaluate
from graphnet.graph import Spec

GUARD = 37  # elements on either side

# each registers its lowerings
for _family in ("copy", "gather", "normalization", "pool_gradient", "pooling", "position", "reduction", "softmax"):
    importlib.import_module(f"graphnet.backends.cpu.kernels.{_family}")


def placed(shape: Sequence[int], layout: str) -> tuple[int, int, tuple[int, ...]]:
    """(elements of the memory, offset, strides) of an operand of that shape: dense, padded on all sides, or axes reversed."""
    shape = tuple(shape)
    if layout == "padded":
        wide = tuple([s + 3 for s in shape])
        strides = packed_strides(wide)
        return 2 * GUARD + math.prod(wide), GUARD + sum(strides), strides
    strides = packed_strides(shape) if layout == "dense" else tuple(reversed(packed_strides(tuple(reversed(shape)))))
    return 2 * GUARD + math.prod(shape), GUARD, strides


def _canaries(size: int, dtype: str) -> np.ndarray:
    """Memory that gives itself away: NaN for floats."""
    return np.full(size, np.nan if np.dtype(dtype).kind == "f" else 1, dtype)


def _bytes(x: np.ndarray) -> bytes:
    return np.ascontiguousarray(x).tobytes()


def run(lower: Any, arrays: Sequence[np.ndarray], specs: Sequence[Spec], layout: str = "dense",
        to: str = "dense") -> list[np.ndarray] | None:
    """The outputs of ``lower(inputs, outputs, builder)``, None where it declines; checks what lies around, and other splits."""
    results = []
    for threads, chunk in ((1, None), (2, 1), (2, 3)):
        builder = Builder(threads=threads, label="tested")
        inputs, memories, outputs, targets = [], [], [], []
        for array in arrays:
            size, offset, strides = placed(array.shape, layout)
            memory = _canaries(size, array.dtype.name)
            operand = builder.input((size,), array.dtype.name).view(offset, array.shape, strides)
            operand.on(memory)[...] = array
            inputs.append(operand)
            memories.append(memory)
        for spec in specs:
            size, offset, strides = placed(spec.shape, to)
            outputs.append(builder.output((size,), spec.dtype).view(offset, spec.shape, strides))
            targets.append(_canaries(size, spec.dtype))
        if lower(inputs, outputs, builder) is False:
            assert not builder.steps, "declined after it had added steps"
            return None
        for step in builder.steps:
            step.chunk = chunk or step.tasks
        before = [memory.copy() for memory in memories]
        builder.finish().instantiate(threads).run(memories, targets)
        assert all(_bytes(a) == _bytes(b) for a, b in zip(before, memories, strict=True)), "an input was written"
        results.append([_inside(operand, memory) for operand, memory in zip(outputs, targets, strict=True)])
    for other in results[1:]:
        assert all(_bytes(a) == _bytes(b) for a, b in zip(results[0], other, strict=True)), "the split of the tasks shows"
    return results[0]


def _inside(operand: Operand, memory: np.ndarray) -> np.ndarray:
    """The operand's elements; everything around them must be as it was."""
    found = operand.on(memory).copy()
    rest = memory.copy()
    operand.on(rest)[...] = _canaries(1, operand.dtype)[0]
    assert _bytes(rest) == _bytes(_canaries(len(rest), operand.dtype)), "written outside of the output"
    return found


def lowered(op: Any, *arrays: np.ndarray, layout: str = "dense", to: str = "dense") -> np.ndarray | None:
    """The output of an op's kernels; None where its lowering declines."""
    spec = op.infer(*[Spec(a.shape, a.dtype.name) for a in arrays])
    lower = lowering_of(op)
    assert lower is not None, f"no lowering for {op}"
    found = run(lambda inputs, outputs, builder: lower(op, inputs, outputs, builder), arrays, [spec], layout, to)
    return None if found is None else found[0]


def same(found: np.ndarray | None, wanted: np.ndarray) -> None:
    """Equal bytes, NaN or not."""
    assert found is not None, "declined"
    assert found.shape == wanted.shape and found.dtype == wanted.dtype
    np.testing.assert_array_equal(found, wanted)


def close(found: np.ndarray | None, wanted: np.ndarray, rtol: float = 1e-6, atol: float = 0.0) -> None:
    """Within rtol of the largest wanted finite magnitude, and NaN and infinity where they are due."""
    assert found is not None, "declined"
    assert found.shape == wanted.shape
    finite = np.isfinite(wanted)
    np.testing.assert_array_equal(np.where(finite, 0, found), np.where(finite, 0, wanted))
    if finite.any():
        scale = np.abs(wanted[finite]).max()
        error = np.abs(found[finite] - wanted[finite]).max()
        assert error <= rtol * scale + atol, f"error {error / scale if scale else error:.2e} of the largest"


def agrees(model: Any, *arrays: np.ndarray, rtol: float = 1e-5) -> list[str]:
    """The kernels of a model's steps; checks that it gives what its graph does in numpy, also where its memory held something else."""
    executable = model.executable()[0]
    expected = evaluate(executable.graph, list(arrays))[0]
    for _ in range(2):
        for found, wanted in zip(executable(arrays), expected, strict=True):
            close(found, wanted, rtol)
        for lane in executable._lanes.pools[allowed_threads()]:
            lane.arena.fill(255)  # NaN
            lane.last = NOBODY
    return [step.kernel for step in executable.runner(tuple([x.shape for x in arrays])).steps()]


def guarded(array: np.ndarray, at_end: bool) -> np.ndarray:
    """A copy that touches a page which may not be read: behind its last element, or before its first."""
    page, size = mmap.PAGESIZE, -(-array.nbytes // mmap.PAGESIZE) * mmap.PAGESIZE
    memory = np.frombuffer(mmap.mmap(-1, size + 2 * page), "uint8")
    for guard in (0, page + size):
        assert ctypes.CDLL(None).mprotect(ctypes.c_void_p(memory.ctypes.data + guard), page, 0) == 0
    start = page + (size - array.nbytes if at_end else 0)
    copy = memory[start:start + array.nbytes].view(array.dtype).reshape(array.shape)
    copy[...] = array
    return copy
