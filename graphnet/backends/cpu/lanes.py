"""Lanes: memory for one call at a time, which all plans of an executable share.

A call takes a lane, the one used last first, lays its plan's instance over the lane's arena, and gives the lane back. So a plan
for a new batch size finds memory that the process already has, and many plans need no more of it than the largest. What a plan
leaves in an arena is garbage to the next one; only halos have to be zero, and an instance zeroes its own when it is its turn.
"""
import weakref
from collections import defaultdict
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import numpy as np

from graphnet.backends.cpu.executor import processors

if TYPE_CHECKING:
    from graphnet.backends.cpu.instance import Instance, Plan

KEPT = max(4, 2 * processors())  # lanes that a pool keeps; more concurrent calls than that make their own
LINE = 64
SPARE = 1 << 26  # bytes at most that an arena is larger than need be, for sizes that rise by and by; untouched, it is no memory
NOBODY: Any = SimpleNamespace(plan=None)  # in place of an instance


def room(nbytes: int) -> np.ndarray:
    """So many bytes, of any content, that begin at a multiple of 64 bytes; what is not touched takes no memory."""
    raw = np.empty(nbytes + LINE, np.uint8)
    start = -raw.ctypes.data % LINE
    return raw[start:start + nbytes]


class Lane:
    """An arena that grows to what the largest plan needs, and the instances that lie on it.

    Args:
        threads: how many threads work on one call.
    """

    __slots__ = ("threads", "arena", "instances", "last", "__weakref__")

    def __init__(self, threads: int) -> None:
        self.threads, self.arena = threads, room(0)
        self.instances: dict[Plan, Instance] = {}
        self.last: Instance = NOBODY  # whose halos are zero

    def turn(self, plan: "Plan") -> "Instance":
        """The instance of a plan, ready to run as the next on this lane."""
        if self.last.plan is plan:  # no name for it here: an arena that has to grow would outlive its end
            return self.last
        found = self.instances.get(plan)
        if found is None:
            need = plan.room(self.threads)
            if need > self.arena.nbytes:
                self._grow(need)
            found = self.instances[plan] = plan.instantiate(self.threads, self.arena)
        elif found.halos:
            found.clear_halos()
        self.last = found
        return found

    def _grow(self, need: int) -> None:
        """Another arena; the old one goes first."""
        self.last = NOBODY
        self.instances.clear()
        self.arena = room(0)
        self.arena = room(need + min(need, SPARE))

    def forget(self, plan: "Plan") -> None:
        """Drops a plan's instance; from any thread, even while the lane runs another plan."""
        self.instances.pop(plan, None)
        if self.last.plan is plan:
            self.last = NOBODY


class Lanes:
    """The lanes of an executable, in a pool for each number of threads.

    Example:

        >>> lanes = Lanes()
        >>> lane = lanes.take(1)
        >>> lanes.give_back(lane)
        >>> lanes.take(1) is lane
        True
    """

    __slots__ = ("pools", "_every")

    def __init__(self) -> None:
        self.pools: dict[int, list[Lane]] = defaultdict(list)  # those that no call has
        self._every: list[weakref.ref[Lane]] = []

    def take(self, threads: int) -> Lane:
        """One that no other call has: from the pool, or a new one."""
        try:
            return self.pools[threads].pop()
        except IndexError:
            return self.new(threads)

    def new(self, threads: int) -> Lane:
        """A further lane."""
        lane = Lane(threads)
        self._every.append(weakref.ref(lane, self._every.remove))
        return lane

    def give_back(self, lane: Lane) -> None:
        """Returns a lane to its pool; where that has enough, the lane's memory goes."""
        pool = self.pools[lane.threads]
        if len(pool) < KEPT:
            pool.append(lane)

    def forget(self, plan: "Plan") -> None:
        """Drops the plan's instances, those on lanes in use as well."""
        for known in self._every.copy():
            lane = known()
            if lane is not None:
                lane.forget(plan)
