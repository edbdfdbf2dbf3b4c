"""The threads that share a call's work: they sleep between calls, and nobody waits for one that is late.

A job is one stretch of a plan. The caller takes the team's lock, gives the job a number, wakes the helpers and works itself; it is
done when all tasks are, whoever did them. A helper that the operating system wakes too late, or takes off its processor between two
tasks, finds counters that carry another job's number, claims nothing and goes back to sleep: so it holds the others up for no longer
than the tasks that it has claimed. Where the lock is taken, by a call of another Python thread, the caller works alone.

Counters are one word each: the job's number above, how many tasks below. Since a late helper may still look at them, an instance's
memory outlives it: a helper first says which stretch it looks at, and then makes sure that this is still the one at work; memory is
let go where none says so (`release`).
"""
import _thread
import functools
import os
import platform
import sys
import threading
from collections import deque
from collections.abc import Callable
from typing import Any

import numpy as np
from llvmlite import ir

from graphnet.backends.cpu.cache import jit
from graphnet.backends.cpu.llvm import declared
from graphnet.backends.cpu.simd import I32, I64, VOID, A, define, pointer, word

LIMIT = 64  # threads of a team
LINE = 8  # words of a cache line
JOB, LOCK, STRETCH, SLEEPING, LOOKING = 0, LINE, 2 * LINE, 3 * LINE, 4 * LINE  # words of the team; LOOKING: a line for each thread
COUNT = (1 << 32) - 1  # the part of a counter that counts
SPINS = 1000  # pauses, some 20 microseconds: so long a helper looks for the next job before it sleeps
IDLE_MICROSECONDS = 100  # between looks, where the system offers nothing to sleep on
FUTEX = {"x86_64": 202, "aarch64": 98}.get(platform.machine()) if sys.platform == "linux" else None
WAIT_PRIVATE, WAKE_PRIVATE = 128, 129


def _named(builder: Any, name: str, result: Any, args: Any = (), several: bool = False) -> Any:
    kind = ir.FunctionType(result, [a.type for a in args[:1]] if several else [a.type for a in args], var_arg=several)
    return builder.call(declared(builder, name, kind), args)


def _pause(builder: Any) -> None:
    machine = platform.machine().lower()
    if machine in ("x86_64", "amd64", "i386", "i686"):
        _named(builder, "llvm.x86.sse2.pause", ir.VoidType())
    elif machine in ("aarch64", "arm64"):
        _named(builder, "llvm.aarch64.hint", ir.VoidType(), [I32(1)])


def _sleep(builder: Any, place: Any, seen: Any) -> None:
    """Sleeps while the word at `place` is `seen`; it may wake for nothing."""
    if FUTEX is not None:
        _named(builder, "syscall", I64, [I64(FUTEX), place, I64(WAIT_PRIVATE), seen, I64(0), I64(0), I64(0)], several=True)
    elif sys.platform == "win32":
        _named(builder, "Sleep", ir.VoidType(), [I32(1)])
    else:
        _named(builder, "usleep", I32, [I32(IDLE_MICROSECONDS)])


def _wake(builder: Any, place: Any) -> None:
    if FUTEX is not None:
        _named(builder, "syscall", I64, [I64(FUTEX), place, I64(WAKE_PRIVATE), I64(LIMIT), I64(0), I64(0), I64(0)], several=True)


def _swap_if(builder: Any, p: Any, old: Any, new: Any) -> Any:
    swapped = builder.cmpxchg(pointer(builder, p, I64(0), I64, I64), old, new, "seq_cst", "seq_cst")
    return builder.zext(builder.extract_value(swapped, 1), I64)


pause = define("pause", VOID, (), _pause)
yield_processor = define("yield_processor", VOID, (), lambda b: _named(
    b, "SwitchToThread" if sys.platform == "win32" else "sched_yield", I32) and None)
sleep_while = define("sleep_while", VOID, (A, A), _sleep)
wake_all = define("wake_all", VOID, (A,), _wake)
atomic_add = define("atomic_add", A, (A, A), lambda b, p, x: b.atomic_rmw("add", pointer(b, p, I64(0), I64, I64), x, "seq_cst"))
atomic_put = define("atomic_put", A, (A, A), lambda b, p, x: b.atomic_rmw("xchg", pointer(b, p, I64(0), I64, I64), x, "seq_cst"))
atomic_load = define("atomic_load", A, (A,), lambda b, p: b.load_atomic(pointer(b, p, I64(0), I64, I64), "acquire", 8))
swap_if = define("swap_if", A, (A, A, A), _swap_if)  # address, old, new; 1 where it was old


@jit
def counted(counter: int, job: int) -> int:
    """How many a counter has counted of a job; -1 where it counts another's."""
    value = atomic_load(counter)
    return value & COUNT if (value >> 32) & COUNT == job & COUNT else -1


@jit
def take(counter: int, job: int, chunk: int, limit: int) -> int:
    """Takes up to `chunk` of what a counter has not counted yet; gives the first, or -1 where nothing is left or the job is over."""
    while True:
        value = atomic_load(counter)
        first = value & COUNT
        if (value >> 32) & COUNT != job & COUNT or first >= limit:
            return -1
        if swap_if(counter, value, value + min(chunk, limit - first)) != 0:
            return first


@jit
def begin(team: int, stretch: int) -> int:
    """The number of a new job, which no helper sees yet; 0 where the team is at work for another caller."""
    if swap_if(team + 8 * LOCK, 0, 1) == 0:
        return 0
    atomic_put(team + 8 * STRETCH, stretch)
    return word(team, JOB) + 1


@jit
def publish(team: int, job: int) -> None:
    """Lets the helpers see the job."""
    atomic_put(team + 8 * JOB, job)
    if atomic_load(team + 8 * SLEEPING) != 0:
        wake_all(team + 8 * JOB)


@jit
def end(team: int) -> None:
    """Closes the job, and gives the team to the next caller."""
    atomic_put(team + 8 * STRETCH, 0)
    atomic_put(team + 8 * LOCK, 0)


@jit
def enter(team: int, me: int, job: int) -> int:
    """The stretch of a job, which stays in memory until `leave`; 0 where the job is over."""
    looking, stretch = team + 8 * (LOOKING + LINE * me), atomic_load(team + 8 * STRETCH)
    atomic_put(looking, stretch)
    if stretch != 0 and atomic_load(team + 8 * STRETCH) == stretch and atomic_load(team + 8 * JOB) == job:
        return stretch
    return 0


@jit
def leave(team: int, me: int) -> None:
    """The helper looks at nothing any more."""
    atomic_put(team + 8 * (LOOKING + LINE * me), 0)


@jit
def next_job(team: int, seen: int) -> int:
    """The number of the job after `seen`, when there is one."""
    for _ in range(SPINS):
        if atomic_load(team + 8 * JOB) != seen:
            return atomic_load(team + 8 * JOB)
        pause()
    while atomic_load(team + 8 * JOB) == seen:
        atomic_add(team + 8 * SLEEPING, 1)
        sleep_while(team + 8 * JOB, seen & COUNT)
        atomic_add(team + 8 * SLEEPING, -1)
    return atomic_load(team + 8 * JOB)


class Team:
    """The threads of this process.

    Args:
        serve: what a helper runs, a function of (team, thread) that never takes the GIL and never returns.
    """

    def __init__(self, serve: Callable[[int, int], None]) -> None:
        self._serve, self._lock = serve, threading.Lock()
        self._words = np.zeros(LOOKING + LINE * (LIMIT + 2), np.int64)
        skipped = -self._words.ctypes.data % 64 // 8
        self.address = self._words.ctypes.data + 8 * skipped
        self._looking = self._words[skipped + LOOKING:][::LINE]
        self.count = 1  # threads, with the caller's
        self._waiting: deque[tuple[int, int, Any]] = deque()  # memory that a late helper may still look at

    def ensure(self, threads: int) -> None:
        """Starts helpers until there are so many threads."""
        with self._lock:
            while self.count < min(threads, LIMIT):
                _thread.start_new_thread(self._serve, (self.address, self.count))
                self.count += 1

    def forget(self) -> None:
        """In the child of a fork, where no helper is: the lock is free, and nobody looks at anything."""
        self.count, self._lock = 1, threading.Lock()
        self._words[:] = 0

    def inside(self, first: int, last: int) -> bool:
        """Whether a helper looks at a stretch whose header lies between two addresses."""
        return any(first <= place < last for place in self._looking[:self.count].tolist())

    def release(self, first: int, last: int, memory: Any) -> None:
        """Lets memory go as soon as no helper looks at it. No lock and no global name: it is called at any moment, the last included."""
        self._waiting.append((first, last, memory))
        for _ in range(len(self._waiting)):
            try:
                entry = self._waiting.popleft()
            except IndexError:
                return  # another thread was here
            if self.inside(entry[0], entry[1]):
                self._waiting.append(entry)


@functools.cache
def processors() -> int:
    """How many processors this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
