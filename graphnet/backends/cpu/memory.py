"""Who waits for whom, how long buffers live, and where they lie in the arena.

A step may start when the first `needs` steps are done, so that independent branches run side by side. `needs` follows from
data alone; memory never adds to it, because a buffer's life begins when its first writer *may* start, not where that
writer stands in the plan. `WINDOW` bounds how far a step may run ahead, and so how much longer buffers live for it.
"""
import math
from bisect import insort
from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Any

from graphnet.backends.cpu.operand import Buffer, Operand

ALIGNMENT = 64
WINDOW = 8

Access = tuple[Sequence[Operand], Sequence[Operand]]  # what a step reads, what it writes
Life = tuple[int, int, int]  # first step, last step (included), bytes


def _span(x: Operand) -> tuple[int, int]:
    """The elements, counted from the buffer's first, between which x lies."""
    low = high = x.offset
    for extent, stride in zip(x.shape, x.strides, strict=True):
        reach = (extent - 1) * stride
        low, high = low + min(reach, 0), high + max(reach, 0)
    return low, high + 1


def _columns(x: Operand) -> tuple[int, int]:
    """The longest run of trailing axes that lie one behind the other, and what divides the other axes' strides (0: none)."""
    width, outer = 1, 0
    for extent, stride in zip(reversed(x.shape), reversed(x.strides), strict=True):
        if extent == 1:
            continue
        if outer == 0 and stride == width:
            width *= extent
        else:
            outer = math.gcd(outer, stride)
    return width, outer


def disjoint(a: Operand, b: Operand) -> bool:
    """Whether two operands of one buffer certainly share no element: apart, or side by side as the parts of a concatenation.

    Example:

        >>> whole = Operand(Buffer("arena", 80), 0, (4, 5), (5, 1), "float32")
        >>> left, right = whole.slice((0, 0), (4, 2)), whole.slice((0, 2), (4, 5))
        >>> disjoint(left, right), disjoint(left, whole)
        (True, False)
    """
    if a.dtype != b.dtype:
        return False
    if not a.size or not b.size:
        return True
    (low_a, high_a), (low_b, high_b) = _span(a), _span(b)
    if high_a <= low_b or high_b <= low_a:
        return True
    (width_a, outer_a), (width_b, outer_b) = _columns(a), _columns(b)
    row = math.gcd(outer_a, outer_b)
    if not row:
        return False
    first_a, first_b = a.offset % row, b.offset % row
    if first_a + width_a > row or first_b + width_b > row:
        return False
    return first_a + width_a <= first_b or first_b + width_b <= first_a


def _key(x: Operand) -> int:
    """One number for all operands that may share memory."""
    return id(x.buffer) if x.buffer.source is None else id(x.buffer.source)


def needs(accesses: Sequence[Access], barriers: Iterable[int] = (), window: int = WINDOW) -> list[int]:
    """How many of the first steps must be done before each step, by what they read and write.

    Args:
        barriers: steps that wait, as do all behind them, for every step before.
        window: a step waits for those more than this many steps before it.
    """
    written: dict[int, list[tuple[int, Operand]]] = defaultdict(list)
    touched: dict[int, list[tuple[int, Operand]]] = defaultdict(list)
    stops, floor, found = set(barriers), 0, []
    for s, (reads, writes) in enumerate(accesses):
        if s in stops:
            floor = s
        need = max(floor, s - window)
        for x, earlier in [(x, written) for x in reads] + [(x, touched) for x in writes]:
            for step, other in reversed(earlier[_key(x)]):
                if step < need:
                    break
                if not disjoint(x, other):
                    need = step + 1
                    break
        found.append(need)
        for x in reads:
            touched[_key(x)].append((s, x))
        for x in writes:
            touched[_key(x)].append((s, x))
            written[_key(x)].append((s, x))
    return found


def lifetimes(accesses: Sequence[Access], need: Sequence[int]) -> dict[Buffer, tuple[int, int]]:
    """First and last step of each arena buffer: from when its first writer may start, to its last reader."""
    lives: dict[Buffer, tuple[int, int]] = {}
    for s, (reads, writes) in enumerate(accesses):
        for x in (*writes, *reads):
            if x.buffer.kind == "arena":
                first, _ = lives.get(x.buffer, (s, s))
                lives[x.buffer] = (min(first, need[s]), s)
    return lives


def assign(lives: Sequence[Life]) -> tuple[list[int], int]:
    """Offsets in one arena, and its size: the largest first, each into the tightest gap among those that live when it does.

    Example:

        >>> assign([(0, 1, 256), (1, 2, 64), (2, 3, 200)])
        ([0, 256, 0], 320)
    """
    offsets, peak = [0] * len(lives), 0
    placed: list[tuple[int, int, int, int]] = []  # offset, end, first step, last step; by offset
    for i in sorted(range(len(lives)), key=lambda i: (-lives[i][2], lives[i][0], i)):
        first, last, nbytes = lives[i]
        size = -(-nbytes // ALIGNMENT) * ALIGNMENT
        if not size:
            continue
        best, tightest, top = -1, 0, 0
        for offset, end, begins, ends in placed:
            if begins > last or ends < first:
                continue
            gap = offset - top
            if gap >= size and (best < 0 or gap < tightest):
                best, tightest = top, gap
            top = max(top, end)
        offsets[i] = top if best < 0 else best
        insort(placed, (offsets[i], offsets[i] + size, first, last))
        peak = max(peak, offsets[i] + size)
    return offsets, peak


def least(lives: Sequence[Life]) -> int:
    """Bytes that live at once where most do: no arena can be smaller.

    Example:

        >>> least([(0, 1, 256), (1, 2, 64), (2, 3, 200)])
        320
    """
    changes: dict[int, int] = defaultdict(int)
    for first, last, nbytes in lives:
        size = -(-nbytes // ALIGNMENT) * ALIGNMENT
        changes[first] += size
        changes[last + 1] -= size
    live = peak = 0
    for step in sorted(changes):
        live += changes[step]
        peak = max(peak, live)
    return peak


def layout(accesses: Sequence[Access], need: Sequence[int]) -> tuple[dict[Buffer, int], int, int]:
    """The offset of each arena buffer, the arena's size, and the least that it could be.

    A halo has to stay zero: a buffer that has one shares its place with buffers of the same geometry alone, for all the plan,
    unless the plan clears it in each call.
    """
    lives = lifetimes(accesses, need)
    groups: list[list[Buffer]] = []
    items: list[Life] = []
    free: dict[Any, list[tuple[int, int]]] = defaultdict(list)  # of each geometry: last step of a place, which
    for buffer, (first, last) in sorted(lives.items(), key=lambda item: item[1]):
        if buffer.halo is None or buffer.cleared:
            groups.append([buffer])
            items.append((first, last, buffer.nbytes))
            continue
        places = free[buffer.halo]
        chosen = next((p for p in places if p[0] < first), None)
        if chosen is None:
            places.append((last, len(groups)))
            groups.append([buffer])
            items.append((0, len(accesses), buffer.nbytes))
        else:
            places[places.index(chosen)] = (last, chosen[1])
            groups[chosen[1]].append(buffer)
    offsets, peak = assign(items)
    placed = {buffer: offset for group, offset in zip(groups, offsets, strict=True) for buffer in group}
    return placed, peak, least([(first, last, buffer.nbytes) for buffer, (first, last) in lives.items()])
