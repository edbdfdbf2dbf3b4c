"""Profiles: the times of a plan's steps, by layer, beside what the machine could do; as a table, a trace, and shares for
pictures.
"""
import json
import pathlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class StepTime:
    """A step of a plan: which kernel for which layer, seconds, multiply-adds, bytes."""

    kernel: str
    layer: str
    seconds: float
    work: float
    nbytes: int

    def roofline(self, machine: tuple[float, float]) -> float:
        """The share of the speed that the machine's multiply-adds and bandwidth would allow."""
        least = max(self.work / machine[0], self.nbytes / machine[1])
        return min(least / self.seconds, 1.0) if self.seconds else 1.0


class Profile:
    """What `Model.profile` gives. Printed, it is a table of layers; ``steps`` are the plan's steps in order.

    Attributes: ``steps`` a `StepTime` each; ``machine`` multiply-adds and bytes a second that the machine reached when
    measured; ``seconds`` of a whole call, which is less than the sum of the steps where these run side by side.
    """

    def __init__(self, name: str, steps: Sequence[StepTime], machine: tuple[float, float], seconds: float) -> None:
        self.name, self.steps, self.machine, self.seconds = name, list(steps), machine, seconds

    def layers(self) -> list[StepTime]:
        """The steps of each layer added up, in the order in which layers begin."""
        found: dict[str, list[StepTime]] = {}
        for step in self.steps:
            found.setdefault(step.layer, []).append(step)
        return [StepTime(", ".join(dict.fromkeys(s.kernel for s in steps)), layer, sum(s.seconds for s in steps),
                         sum(s.work for s in steps), sum(s.nbytes for s in steps)) for layer, steps in found.items()]

    def shares(self) -> dict[str, tuple[float, float]]:
        """Of each layer its seconds and its share of all steps' time: what `plot_model(profile=...)` colours."""
        total = sum(s.seconds for s in self.steps) or 1.0
        return {layer.layer: (layer.seconds, layer.seconds / total) for layer in self.layers()}

    def __str__(self) -> str:
        total = sum(s.seconds for s in self.steps) or 1.0
        lines = [f"{self.name}: {1e3 * self.seconds:.3f} ms a call; the machine {2e-9 * self.machine[0]:.0f} GFLOP/s, "
                 f"{1e-9 * self.machine[1]:.0f} GB/s",
                 f"{'layer':36}{'kernels':28}{'us':>10}{'share':>7}{'GFLOP/s':>9}{'GB/s':>7}{'roofline':>9}"]
        for row in self.layers():
            seconds = max(row.seconds, 1e-9)
            lines.append(f"{row.layer[:35]:36}{row.kernel[:27]:28}{1e6 * row.seconds:10.1f}{row.seconds / total:7.0%}"
                         f"{2e-9 * row.work / seconds:9.1f}{1e-9 * row.nbytes / seconds:7.1f}{row.roofline(self.machine):9.0%}")
        return "\n".join(lines)

    __repr__ = __str__

    def events(self) -> list[dict[str, Any]]:
        """The steps one after the other as events of Chrome's trace format, times in microseconds."""
        at, events = 0.0, []
        for step in self.steps:
            figures = {"multiply-adds": step.work, "bytes": step.nbytes, "roofline": round(step.roofline(self.machine), 3)}
            events.append({"name": f"{step.layer}: {step.kernel}", "cat": step.kernel, "ph": "X", "ts": 1e6 * at,
                           "dur": 1e6 * step.seconds, "pid": 1, "tid": 1, "args": figures})
            at += step.seconds
        return events

    def to_chrome_trace(self, path: Any) -> pathlib.Path:
        """Writes a trace that chrome://tracing and Perfetto show; gives its path."""
        path = pathlib.Path(path)
        path.write_text(json.dumps({"traceEvents": self.events(), "displayTimeUnit": "ms"}))
        return path
