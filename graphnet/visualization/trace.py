"""What ran when, as files: Chrome's trace format, for Perfetto too, and XSpace, for TensorBoard's profile plugin."""
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

_PLANE = "/host:CPU"


@dataclass(frozen=True)
class Slice:
    """Something that took its time in a thread; seconds since the recording began.

    What lies within another of that thread is a part of it.
    """

    name: str
    thread: int
    start: float
    seconds: float
    figures: dict[str, Any] = field(default_factory=dict)


def chrome_trace(slices: Sequence[Slice], threads: dict[int, str]) -> dict[str, Any]:
    """The slices as Chrome's trace format has them, times in microseconds, to be written as JSON.

    Source: https://docs.google.com/document/d/1CvAClvFfyA5R-PhYUmn5OOQtYMH4h6I0nSsKchNAySU

    Example:

        >>> chrome_trace([Slice("step", 7, 0.5, 0.25)], {7: "main"})["traceEvents"][-1]["ts"]
        500000.0
    """
    named: list[dict[str, Any]] = [{"ph": "M", "pid": 1, "name": "process_name", "args": {"name": _PLANE}}]
    named += [{"ph": "M", "pid": 1, "tid": number, "name": "thread_name", "args": {"name": name}}
              for number, name in threads.items()]
    return {"displayTimeUnit": "ms", "traceEvents": named + [
        {"ph": "X", "pid": 1, "tid": s.thread, "name": s.name, "ts": 1e6 * s.start, "dur": 1e6 * s.seconds, "args": s.figures}
        for s in slices]}


def xspace(slices: Sequence[Slice], threads: dict[int, str], began: float, host: str) -> bytes:
    """The slices as an XSpace message, a line for each thread.

    Arguments: ``began`` seconds since 1970 at the recording's zero; ``host`` the machine's name.
    Source: https://github.com/openxla/xla (third_party/tsl/tsl/profiler/protobuf/xplane.proto)
    """
    names = {name: number for number, name in enumerate(dict.fromkeys(s.name for s in slices), 1)}
    stats = {name: number for number, name in enumerate(dict.fromkeys(key for s in slices for key in s.figures), 1)}
    plane = [_field(1, 1), _field(2, _PLANE)]
    for thread, name in threads.items():
        own = sorted([s for s in slices if s.thread == thread], key=lambda s: (s.start, -s.seconds))
        events = [_field(4, _event(s, names, stats)) for s in own]
        plane.append(_field(3, b"".join([_field(1, thread), _field(2, name), _field(3, int(1e9 * began)), *events])))
    for number, table in ((4, names), (5, stats)):  # maps, whose entries have the key as field 1 and the value as 2
        plane += [_field(number, _field(1, key) + _field(2, _field(1, key) + _field(2, name))) for name, key in table.items()]
    return _field(1, b"".join(plane)) + _field(4, host)


def _event(s: Slice, names: dict[str, int], stats: dict[str, int]) -> bytes:
    parts = [_field(1, names[s.name]), _field(2, max(0, int(1e12 * s.start))), _field(3, int(1e12 * s.seconds))]
    for key, value in s.figures.items():
        whole = isinstance(value, int) and value >= 0
        parts.append(_field(4, _field(1, stats[key]) + (_field(3, value) if whole else _field(5, str(value)))))
    return b"".join(parts)


def _field(number: int, value: int | str | bytes) -> bytes:
    """A field of a protocol buffer: a whole number, or text, bytes or a message behind their length."""
    if isinstance(value, int):
        return _varint(8 * number) + _varint(value)
    value = value.encode() if isinstance(value, str) else value
    return _varint(8 * number + 2) + _varint(len(value)) + value


def _varint(value: int) -> bytes:
    """Seven bits a byte, the lowest first; the eighth says that more follow."""
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    out.append(value)
    return bytes(out)


__all__ = ["Slice", "chrome_trace", "xspace"]
