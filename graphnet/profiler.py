"""graphnet.profiler: the times of all plans that run meanwhile, step by step, in files that TensorBoard and Chrome show.

While the profiler is on, plans run one step after the other, each in as many threads as it would else have, and each step is
timed: so a run as a whole takes longer than it does unobserved, where steps overlap. Recorded are models, traced functions,
training steps, and the bodies of loops and branches, in all threads; not what Python does between them, and not ops that are
called on arrays.

``stop`` writes a folder ``LOGDIR/plugins/profile/TIME/`` with

- ``HOST.trace.json.gz``: Chrome's trace format, for https://ui.perfetto.dev and, unzipped, chrome://tracing;
- ``HOST.xplane.pb``: for the trace viewer of TensorBoard's profile plugin (``pip install
  tensorboard-plugin-profile``), whose other pages are about the devices of TensorFlow and XLA, and stay empty;
- ``HOST.summary.txt``: a table of layers for each plan, mean times of a run, beside what the machine could do,

and that table as text into ``LOGDIR`` itself, for TensorBoard's page of texts, where the package tensorboard is installed.
"""
import gzip
import importlib.util
import json
import os
import pathlib
import socket
import threading
import time
from collections.abc import Sequence
from types import TracebackType
from typing import Any

import numpy as np

from graphnet.backends.cpu.calls import recorders
from graphnet.backends.cpu.executor import allowed_threads
from graphnet.backends.cpu.instance import Plan
from graphnet.backends.cpu.probe import machine
from graphnet.errors import UnsupportedError
from graphnet.files import whole_file
from graphnet.visualization.events import EventWriter
from graphnet.visualization.profile import Profile as Table
from graphnet.visualization.profile import StepTime
from graphnet.visualization.trace import Slice, chrome_trace, xspace

LIMIT = 1_000_000  # steps and annotations that are kept; some hundred bytes each
_lock = threading.Lock()
_current: list["_Session"] = []  # one at most


class _Session:
    """What is recorded between start and stop."""

    def __init__(self, logdir: Any) -> None:
        self.logdir = logdir
        self.began, self.wall = time.perf_counter(), time.time()
        self.runs: list[tuple[Plan, int, list[tuple[float, float]]]] = []
        self.notes: list[Slice] = []
        self.threads: dict[int, str] = {}
        self.kept = self.dropped = 0

    def thread(self) -> int:
        """The number of the thread that calls, whose name is noted."""
        number = threading.get_native_id()
        self.threads.setdefault(number, threading.current_thread().name)
        return number

    def room(self, count: int) -> bool:
        """Whether so many more are kept."""
        fits = self.kept + count <= LIMIT
        self.kept, self.dropped = self.kept + count * fits, self.dropped + count * (not fits)
        return fits

    def see(self, plan: Plan, marks: list[tuple[float, float]]) -> None:
        """A run of a plan: when each step began, and the seconds it took."""
        if self.room(len(marks)):
            self.runs.append((plan, self.thread(), marks))

    def note(self, name: str, start: float, seconds: float, figures: dict[str, Any]) -> None:
        """A stretch of time that the user has named."""
        if self.room(1):
            self.notes.append(Slice(name, self.thread(), start - self.began, seconds, figures))

    def plans(self) -> list[tuple[str, Plan, list[list[tuple[float, float]]]]]:
        """Each plan with a name and its runs, in the order of first runs."""
        found: dict[int, tuple[Plan, list[list[tuple[float, float]]]]] = {}
        for plan, _, marks in self.runs:
            found.setdefault(id(plan), (plan, []))[1].append(marks)
        return [(f"plan {number}: {_shapes(plan.inputs)} -> {_shapes(plan.outputs)}", plan, runs)
                for number, (plan, runs) in enumerate(found.values(), 1)]

    def slices(self) -> list[Slice]:
        """Annotations, runs and their steps, by time."""
        about = {id(plan): (name, plan.steps_report()) for name, plan, _ in self.plans()}
        slices = list(self.notes)
        for plan, thread, marks in self.runs:
            if not marks:
                continue
            name, steps = about[id(plan)]
            first, (last, taken) = marks[0][0], marks[-1]
            slices.append(Slice(name, thread, first - self.began, last + taken - first, {"steps": len(steps)}))
            slices += [Slice(f"{step.label or '-'}: {step.kernel}", thread, start - self.began, seconds,
                             _figures(step, seconds)) for step, (start, seconds) in zip(steps, marks, strict=True)]
        return sorted(slices, key=lambda s: (s.start, -s.seconds))

    def summary(self) -> str:
        """A table of layers for each plan."""
        able = machine(allowed_threads()) if self.runs else (1.0, 1.0)
        texts = []
        for name, plan, runs in self.plans():
            means = np.mean([[seconds for _, seconds in marks] for marks in runs], axis=0)
            whole = float(np.mean([marks[-1][0] + marks[-1][1] - marks[0][0] if marks else 0.0 for marks in runs]))
            steps = [StepTime(s.kernel, s.label, float(t), s.work, s.nbytes)
                     for s, t in zip(plan.steps_report(), means, strict=True)]
            texts.append(f"{len(runs)} runs, step by step, of\n{Table(name, steps, able, whole)}")
        if self.dropped:
            texts.append(f"{self.dropped:,} steps more than the {LIMIT:,} that are kept are not in here")
        return "\n\n".join(texts or ["no plan has run"])

    def save(self, logdir: Any) -> pathlib.Path:
        """Writes the files; gives their folder."""
        folder, host = _run_folder(pathlib.Path(logdir)), socket.gethostname()
        slices, summary = self.slices(), self.summary()
        with whole_file(folder / f"{host}.trace.json.gz") as file:
            file.write(gzip.compress(json.dumps(chrome_trace(slices, self.threads)).encode(), 6))
        with whole_file(folder / f"{host}.xplane.pb") as file:
            file.write(xspace(slices, self.threads, self.wall, host))
        with whole_file(folder / f"{host}.summary.txt", "w") as file:
            file.write(summary + "\n")
        if importlib.util.find_spec("tensorboard"):
            with EventWriter(logdir, ".profile") as events:
                events.text(f"profile/{folder.name}", f"```\n{summary}\n```", 0)
        return folder


def _figures(step: Any, seconds: float) -> dict[str, Any]:
    seconds = max(seconds, 1e-9)
    return {"kernel": step.kernel, "layer": step.label, "reads": str(step.reads), "writes": str(step.writes),
            "bytes": int(step.nbytes), "multiply-adds": int(step.work), "tasks": step.tasks,
            "GB/s": round(1e-9 * step.nbytes / seconds, 2), "GFLOP/s": round(2e-9 * step.work / seconds, 2)}


def _shapes(operands: Sequence[Any]) -> str:
    return ", ".join([str(x.shape) for x in operands[:4]]) + (", ..." if len(operands) > 4 else "") or "nothing"


def _run_folder(logdir: pathlib.Path) -> pathlib.Path:
    """A new folder named by the time."""
    parent = logdir / "plugins" / "profile"
    stamp, number = time.strftime("%Y_%m_%d_%H_%M_%S"), 0
    while True:
        folder = parent / (stamp if not number else f"{stamp}_{number}")
        try:
            folder.mkdir(parents=True)
            return folder
        except FileExistsError:
            number += 1


def start(logdir: Any) -> None:
    """Begins to record the plans that run, in all threads; they run step by step until `stop`.

    Arguments: ``logdir`` the folder for TensorBoard. Raises RuntimeError where the profiler is on already.
    Source: https://www.tensorflow.org/api_docs/python/tf/profiler/experimental/start

    Example:

        >>> import pathlib, tempfile
        >>> import numpy as np, graphnet
        >>> double = graphnet.function(lambda x: 2 * x)
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     graphnet.profiler.start(folder)
        ...     y = double(np.ones(3, "float32"))
        ...     run = graphnet.profiler.stop()
        ...     sorted(file.name.partition(".")[2] for file in run.iterdir())
        ['summary.txt', 'trace.json.gz', 'xplane.pb']
    """
    with _lock:
        if _current:
            raise RuntimeError("The profiler is on already. End it first: graphnet.profiler.stop().")
        session = _Session(None if logdir is None else os.fspath(logdir))
        _current.append(session)
        recorders.append(session.see)


def stop(save: bool = True) -> pathlib.Path | None:
    """Ends the recording and writes its files; gives their folder.

    Arguments: ``save=False`` drops what was recorded. Raises RuntimeError where the profiler is not on.

    Example: see `start`.
    """
    with _lock:
        if not _current:
            raise RuntimeError("The profiler is not on. Begin by graphnet.profiler.start(logdir).")
        session = _current.pop()
        recorders.remove(session.see)
    if not save:
        return None
    if session.logdir is None:
        raise UnsupportedError("graphnet.profiler.stop expects a folder for its files, and none was given to start.")
    return session.save(session.logdir)


def redirect(logdir: Any) -> None:
    """Changes the folder that the recording under way goes to."""
    with _lock:
        for session in _current:
            session.logdir = os.fspath(logdir)


class Profile:
    """A context in which the profiler is on: `start` and `stop`. An error in it drops nothing: what ran is written.

    Example:

        >>> import tempfile
        >>> import numpy as np, graphnet
        >>> double = graphnet.function(lambda x: 2 * x)
        >>> with tempfile.TemporaryDirectory() as folder, graphnet.profiler.Profile(folder):
        ...     y = double(np.ones(3, "float32"))
    """

    def __init__(self, logdir: Any) -> None:
        self.logdir = logdir
        self.folder: pathlib.Path | None = None  # of the files, once they are written

    def __enter__(self) -> "Profile":
        start(self.logdir)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None) -> None:
        self.folder = stop()


class Trace:
    """A context that has a name in the recording: what runs within stands under it. While the profiler is off it does nothing.

    Arguments: ``name``; further ones, such as ``step_num=3``, are shown with it.

    Example:

        >>> import graphnet
        >>> with graphnet.profiler.Trace("train", step_num=3) as trace:
        ...     trace.set_metadata(batch=32)
    """

    def __init__(self, name: str, **kwargs: Any) -> None:
        self.name, self.metadata, self.began = name, kwargs, 0.0

    def set_metadata(self, **kwargs: Any) -> None:
        """Adds figures that are shown with it."""
        self.metadata.update(kwargs)

    def __enter__(self) -> "Trace":
        self.began = time.perf_counter()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None) -> None:
        for session in _current[:1]:
            session.note(self.name, self.began, time.perf_counter() - self.began, dict(self.metadata))


__all__ = ["Profile", "Trace", "start", "stop"]
