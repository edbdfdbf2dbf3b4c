"""Runs a plan: one jitted function walks the steps, calls kernels by address and alone knows of threads.

A call opens one parallel region at most. Each thread that arrives is a participant and walks the same steps; it waits only for
tasks that another has claimed, never for a thread that has not come, so that nothing depends on how many really run (TBB
may run them one after another; one processor may hold all of them). A step's tasks are cut into shares, one a thread, each
with a counter on a cache line of its own; a participant claims chunks from its own share first, whose rows of the step
before are in its cache, then from the others'.

All that `execute` needs lies behind one address, a stretch's header of int64 words (``HEADER``); the table of steps has
``COLUMNS`` words a step, one cache line.
"""
import contextlib
import ctypes
import functools
import os
import pathlib
import platform
import sys
import threading
import warnings
from collections.abc import Callable
from typing import Any

import numba
import numpy as np
from llvmlite import ir
from numba import njit, prange, types
from numba.core import cgutils
from numba.np.ufunc.parallel import _launch_threads

from graphnet.backends.cpu.cache import A, cached, jit
from graphnet.backends.cpu.simd import I32, I64, define, pointer, put_word, word
from graphnet.settings import settings

COLUMNS = 8  # words a step; LEAST, the smallest chunk worth a claim, is for those who fill the table
KERNEL, ROW, TASKS, CHUNK, NEEDS, LEAST, COUNTERS, SHARES = range(8)
HEADER = 16  # words a stretch
(H_STEPS, H_COUNT, H_COUNTERS, H_LINES, H_THREADS, H_SCRATCH, H_SCRATCH_EACH,
 H_PATCHES, H_PATCH_COUNT, H_IDS, H_BEHIND, H_STATUS, H_MODE) = range(13)
PATCH = 3  # words a patch: address of the word, which array, bytes behind its first element
SPINS = 1000  # pauses, some 20 microseconds, before a waiting thread offers its processor: the claimer may need it


def _call(builder: Any, kernel: Any, *args: Any) -> None:
    function = ir.FunctionType(ir.VoidType(), [I64] * 4)
    builder.call(builder.inttoptr(kernel, function.as_pointer()), args)


def _named(builder: Any, name: str, result: Any, args: Any = ()) -> Any:
    kind = ir.FunctionType(result, [a.type for a in args])
    return builder.call(cgutils.get_or_insert_function(builder.module, kind, name), args)


def _pause(builder: Any) -> None:
    machine = platform.machine().lower()
    if machine in ("x86_64", "amd64", "i386", "i686"):
        _named(builder, "llvm.x86.sse2.pause", ir.VoidType())
    elif machine in ("aarch64", "arm64"):
        _named(builder, "llvm.aarch64.hint", ir.VoidType(), [I32(1)])


call = define("call", types.void, (A, A, A, A, A), _call)  # kernel address, row, begin, end, scratch
atomic_add = define("atomic_add", A, (A, A), lambda b, p, x: b.atomic_rmw("add", pointer(b, p, I64(0), I64, I64), x, "acq_rel"))
atomic_load = define("atomic_load", A, (A,), lambda b, p: b.load_atomic(pointer(b, p, I64(0), I64, I64), "acquire", 8))
pause = define("pause", types.void, (), _pause)
yield_processor = define("yield_processor", types.void, (), lambda b: _named(
    b, "SwitchToThread" if sys.platform == "win32" else "sched_yield", I32) and None)


@jit
def wait_for(steps: int, complete: int, needed: int) -> int:
    """Waits until the first `needed` steps are done, of which `complete` are known to be; gives how many now are."""
    while complete < needed:
        step = steps + 8 * COLUMNS * complete
        tasks, done, spins = word(step, TASKS), word(step, COUNTERS), 0
        while atomic_load(done) < tasks:
            spins += 1
            if spins > SPINS:
                yield_processor()
            else:
                pause()
        complete += 1
    return complete


@jit
def claim(step: int, me: int, scratch: int) -> int:
    """Does what this participant gets of a step's tasks; gives how many."""
    tasks, chunk, shares, counters = word(step, TASKS), word(step, CHUNK), word(step, SHARES), word(step, COUNTERS)
    mine = 0
    for other in range(shares):
        share = (me + other) % shares
        first, last, claimed = share * tasks // shares, (share + 1) * tasks // shares, counters + 64 * (share + 1)
        while first + atomic_load(claimed) < last:
            begin = first + atomic_add(claimed, chunk)
            if begin < last:
                end = min(begin + chunk, last)
                call(word(step, KERNEL), word(step, ROW), begin, end, scratch)
                mine += end - begin
    return mine


@jit
def participate(header: int, me: int) -> None:
    """Walks the stretch as one of its threads."""
    steps, complete = word(header, H_STEPS), 0
    scratch = word(header, H_SCRATCH) + me * word(header, H_SCRATCH_EACH)
    for s in range(word(header, H_COUNT)):
        step = steps + 8 * COLUMNS * s
        complete = wait_for(steps, complete, word(step, NEEDS))
        mine = claim(step, me, scratch)
        if mine > 0:
            atomic_add(word(step, COUNTERS), mine)  # once a step: one for each claim doubled the cost


@njit(parallel=True, error_model="numpy")
def together(header: int, threads: int) -> None:
    """The one parallel region."""
    for me in prange(threads):
        participate(header, me)


def execute(header: int, first: int, second: int) -> int:
    """Runs a stretch and gives the status word: 0, or 1 + the step that reported an error.

    first, second: handles (see `handle`) of the only input and the only output, or 0 where the ids' words are filled in.
    """
    ids, patches, behind = word(header, H_IDS), word(header, H_PATCHES), word(header, H_BEHIND)
    if first != 0:
        put_word(ids, 0, first)
        put_word(ids, 1, second)
    for i in range(word(header, H_PATCH_COUNT)):
        patch = patches + 8 * PATCH * i
        data = word(ids, word(patch, 1))
        if behind >= 0:
            data = word(data, behind)
        put_word(word(patch, 0), 0, data + word(patch, 2))
    threads = word(header, H_THREADS)
    if threads == 1 or word(word(header, H_MODE), 0) != 0:
        for s in range(word(header, H_COUNT)):
            step = word(header, H_STEPS) + 8 * COLUMNS * s
            call(word(step, KERNEL), word(step, ROW), 0, word(step, TASKS), word(header, H_SCRATCH))
    else:
        for line in range(word(header, H_LINES)):
            put_word(word(header, H_COUNTERS), 8 * line, 0)
        together(header, threads)
    return word(word(header, H_STATUS), 0)


# ---- the arrays of a call

def _behind() -> int:
    """Which word behind an array's id() is the address of its data; -1 where this Python keeps it elsewhere."""
    index = object.__basicsize__ // 8
    probe = np.zeros(3)
    if sys.implementation.name != "cpython" or ctypes.sizeof(ctypes.c_void_p) != 8:
        return -1
    return index if ctypes.c_int64.from_address(id(probe) + 8 * index).value == probe.ctypes.data else -1


BEHIND = _behind()


def _data(array: np.ndarray) -> int:
    return array.ctypes.data


# what `execute` takes for an array: `array.ctypes.data` would cost 0.75 microseconds
handle: Callable[[np.ndarray], int] = id if BEHIND >= 0 else _data


# ---- readiness

_mode = np.zeros(8, np.int64)  # word 0: not 0 where every call has to run in its own thread
MODE = _mode.ctypes.data
_lock = threading.Lock()
_execute: Any = None


@functools.cache
def processors() -> int:
    """How many processors this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def allowed_threads() -> int:
    """How many threads a call may use now: ``settings.threads``, else one for each processor."""
    return settings.threads or min(processors(), numba.config.NUMBA_NUM_THREADS)


def ready() -> Callable[[int, int, int], int]:
    """`execute`, compiled or loaded. numba's threads start first: LLVM aborts where such code is loaded before them."""
    global _execute
    if _execute is None:
        with _lock:
            if _execute is None:
                _start_threads()
                flags: dict[str, Any] = {"cache": True, "nogil": True, "error_model": "numpy", "no_cfunc_wrapper": True}
                _execute = cached("execute", lambda: njit(A(A, A, A), **flags)(execute))
    return _execute


def _start_threads() -> None:
    if numba.config.THREADING_LAYER in ("default", "tbb", "safe", "forksafe", "threadsafe") and sys.platform == "linux":
        library = pathlib.Path(sys.prefix, "lib", "libtbb.so.12")  # where pip puts it, and where numba does not look
        if library.exists():
            with contextlib.suppress(OSError):
                ctypes.CDLL(str(library), ctypes.RTLD_GLOBAL)
    _launch_threads()
    if numba.threading_layer() == "workqueue":  # it aborts the process when two Python threads call at once
        _mode[0] = 1
        if processors() > 1:
            warnings.warn(
                "graphnet runs in one thread: numba found no threading layer that bears concurrent calls. "
                "Install the system's libgomp (Debian: apt install libgomp1), or `pip install tbb`.",
                RuntimeWarning, stacklevel=2)


def _after_fork_in_child() -> None:
    """The threads of the parent are not in the child, and OpenMP ends a child that opens a region."""
    global _lock
    _lock = threading.Lock()
    if _execute is not None:
        _mode[0] = 1


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork_in_child)
