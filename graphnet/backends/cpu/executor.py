"""Runs a plan: one jitted function walks the steps and calls kernels by address; with `team`, it alone knows of threads.

The caller and each helper that arrives walk the same steps; they wait only for tasks that another has claimed, never for a thread
that has not come, so that nothing depends on how many really run. A step's tasks are cut into shares, one a thread, each with a
counter on a cache line of its own; a participant claims chunks from its own share first, whose rows of the step before are in its
cache, then from the others'.

All that `execute` needs lies behind one address, a stretch's header of int64 words (``HEADER``); the table of steps has
``COLUMNS`` words a step, one cache line.
"""
import ctypes
import os
import sys
import threading
from collections.abc import Callable
from typing import Any

import numpy as np
from llvmlite import ir

from graphnet.backends.cpu.cache import jit, python_function
from graphnet.backends.cpu.simd import I64, VOID, A, define, put_word, word
from graphnet.backends.cpu.team import (
    COUNT,
    JOB,
    LIMIT,
    Team,
    atomic_add,
    atomic_load,
    begin,
    counted,
    end,
    enter,
    leave,
    next_job,
    pause,
    processors,
    publish,
    take,
    yield_processor,
)
from graphnet.settings import settings

__all__ = ["allowed_threads", "call", "execute", "handle", "processors", "ready"]

COLUMNS = 8  # words a step; LEAST, the smallest chunk worth a claim, is for those who fill the table
KERNEL, ROW, TASKS, CHUNK, NEEDS, LEAST, COUNTERS, SHARES = range(8)
HEADER = 16  # words a stretch
(H_STEPS, H_COUNT, H_COUNTERS, H_LINES, H_THREADS, H_SCRATCH, H_SCRATCH_EACH,
 H_PATCHES, H_PATCH_COUNT, H_IDS, H_BEHIND, H_STATUS, H_TEAM) = range(13)
PATCH = 3  # words a patch: address of the word, which array, bytes behind its first element
SPINS = 1000  # pauses, some 20 microseconds, before a waiting thread offers its processor: the claimer may need it


def _call(builder: Any, kernel: Any, *args: Any) -> None:
    function = ir.FunctionType(ir.VoidType(), [I64] * 4)
    builder.call(builder.inttoptr(kernel, function.as_pointer()), args)


call = define("call", VOID, (A, A, A, A, A), _call)  # kernel address, row, begin, end, scratch


@jit
def wait_for(steps: int, complete: int, needed: int, job: int, team: int) -> int:
    """Waits until the first `needed` steps are done, of which `complete` are known to be; gives how many now are, or -1: job over."""
    while complete < needed:
        step, spins = steps + 8 * COLUMNS * complete, 0
        tasks, done = word(step, TASKS), word(step, COUNTERS)
        while counted(done, job) < tasks:
            spins += 1
            if spins > SPINS:
                yield_processor()
            else:
                pause()
            if atomic_load(team + 8 * JOB) != job:
                return -1
        complete += 1
    return complete


@jit
def claim(step: int, me: int, scratch: int, job: int) -> int:
    """Does what this participant gets of a step's tasks; gives how many."""
    tasks, chunk, shares, counters = word(step, TASKS), word(step, CHUNK), word(step, SHARES), word(step, COUNTERS)
    mine = 0
    for other in range(shares):
        share = (me + other) % shares
        first, last, claimed = share * tasks // shares, (share + 1) * tasks // shares, counters + 64 * (share + 1)
        at = take(claimed, job, chunk, last - first)
        while at >= 0:
            until = min(at + chunk, last - first)
            call(word(step, KERNEL), word(step, ROW), first + at, first + until, scratch)
            mine += until - at
            at = take(claimed, job, chunk, last - first)
    return mine


@jit
def participate(header: int, me: int, job: int, team: int) -> int:
    """Walks the stretch as one of its threads; gives how many steps it knows to be done, or -1 where the job was over before."""
    steps, complete = word(header, H_STEPS), 0
    scratch = word(header, H_SCRATCH) + me * word(header, H_SCRATCH_EACH)
    for s in range(word(header, H_COUNT)):
        step = steps + 8 * COLUMNS * s
        complete = wait_for(steps, complete, word(step, NEEDS), job, team)
        if complete < 0:
            return -1
        mine = claim(step, me, scratch, job)
        if mine > 0:
            atomic_add(word(step, COUNTERS), mine)  # once a step: one for each claim doubled the cost
    return complete


def serve(team: int, me: int) -> None:
    """What a helper does, for ever."""
    job = 0
    while True:
        job = next_job(team, job)
        header = enter(team, me, job)
        if header != 0 and me < word(header, H_THREADS):
            participate(header, me, job, team)
        leave(team, me)


@jit
def alone(header: int) -> None:
    """Runs a stretch in this thread."""
    for s in range(word(header, H_COUNT)):
        step = word(header, H_STEPS) + 8 * COLUMNS * s
        call(word(step, KERNEL), word(step, ROW), 0, word(step, TASKS), word(header, H_SCRATCH))


def execute(header: int, first: int, second: int) -> int:
    """Runs a stretch and gives the status word: 0, or 1 + the step that reported an error.

    first, second: handles (see `handle`) of the only input and the only output, or 0 where the ids' words are filled in.
    """
    ids, patches, behind, status = word(header, H_IDS), word(header, H_PATCHES), word(header, H_BEHIND), word(header, H_STATUS)
    put_word(status, 0, 0)  # a call that was interrupted may have left one
    if first != 0:
        put_word(ids, 0, first)
        put_word(ids, 1, second)
    for i in range(word(header, H_PATCH_COUNT)):
        patch = patches + 8 * PATCH * i
        data = word(ids, word(patch, 1))
        if behind >= 0:
            data = word(data, behind)
        put_word(word(patch, 0), 0, data + word(patch, 2))
    team = word(header, H_TEAM)
    job = begin(team, header) if word(header, H_THREADS) > 1 else 0
    if job == 0:
        alone(header)
    else:
        for line in range(word(header, H_LINES)):
            put_word(word(header, H_COUNTERS), 8 * line, (job & COUNT) << 32)
        publish(team, job)
        complete = participate(header, 0, job, team)
        wait_for(word(header, H_STEPS), complete, word(header, H_COUNT), job, team)
        end(team)
    return word(status, 0)


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

_lock = threading.RLock()
_functions: tuple[Any, Any] | None = None  # execute and serve, compiled
_team: Team | None = None


def allowed_threads() -> int:
    """How many threads a call may use now: ``settings.threads``, else one for each processor."""
    return min(settings.threads or processors(), LIMIT)


def _compiled() -> tuple[Any, Any]:
    global _functions
    if _functions is None:
        with _lock:
            if _functions is None:
                _functions = python_function(execute), python_function(serve)
    return _functions


def ready() -> Callable[[int, int, int], int]:
    """`execute`, compiled or loaded."""
    run: Callable[[int, int, int], int] = _compiled()[0]
    return run


def team(threads: int) -> Team:
    """The threads of this process, at least so many."""
    global _team
    with _lock:
        if _team is None:
            _team = Team(_compiled()[1])
    _team.ensure(threads)
    return _team


def _after_fork_in_child() -> None:
    """The helpers of the parent are not in the child. Instances made before the fork run without; later ones find a new team."""
    global _lock, _team
    _lock = threading.RLock()
    if _team is not None:
        _team.forget()
    _team = None


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork_in_child)
