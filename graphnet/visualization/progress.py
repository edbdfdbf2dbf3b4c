"""The progress line of fit, evaluate and predict, in a terminal, in a notebook and in a file; and where messages go."""
import logging
import math
import os
import sys
import time
from collections.abc import Iterable
from typing import Any

import numpy as np

_BAR = "━"
_BOLD, _GREEN, _GREY, _PLAIN = "\x1b[1m", "\x1b[32m", "\x1b[37m", "\x1b[0m"
_interactive = [True]


def enable_interactive_logging() -> None:
    """Progress and messages go to standard output: the default.

    Source: https://keras.io/api/utils/config_utils/

    Example:

        >>> from graphnet.visualization.progress import enable_interactive_logging, message
        >>> enable_interactive_logging()
        >>> message("hello")
        hello
    """
    _interactive[0] = True


def disable_interactive_logging() -> None:
    """Progress and messages go to the logger "graphnet", at level INFO: for jobs on a server.

    Source: https://keras.io/api/utils/config_utils/

    Example:

        >>> from graphnet.visualization.progress import disable_interactive_logging, enable_interactive_logging, message
        >>> disable_interactive_logging()
        >>> message("hello")
        >>> enable_interactive_logging()
    """
    _interactive[0] = False


def is_interactive_logging_enabled() -> bool:
    """Whether progress and messages go to standard output.

    Example:

        >>> from graphnet.visualization.progress import is_interactive_logging_enabled
        >>> is_interactive_logging_enabled()
        True
    """
    return _interactive[0]


def message(text: str, end: str = "\n") -> None:
    """Shows a text to the user at once: on standard output, whatever its encoding, or in the log."""
    if not _interactive[0]:
        logging.getLogger("graphnet").info(text)
        return
    try:
        sys.stdout.write(text + end)
    except UnicodeEncodeError:
        encoding = sys.stdout.encoding or "utf-8"
        sys.stdout.write((text + end).replace(_BAR, "=").encode(encoding, "ignore").decode(encoding))
    sys.stdout.flush()


def _redraws() -> bool:
    """Whether a line is drawn over itself; else each drawing is a line of its own. Keras does so wherever the system is
    POSIX.
    """
    return (getattr(sys.stdout, "isatty", bool)() or os.name == "posix" or "ipykernel" in sys.modules
            or "PYCHARM_HOSTED" in os.environ)


class Progbar:
    """A progress bar with time and metrics: ``12/60 ━━━━──────────────── 1s 25ms/step - loss: 0.3411``.

    A line is drawn at most every ``interval`` seconds, so that a step pays well under a microsecond per metric for it; the
    last is always drawn.

    Arguments:
        target: steps in all; None where they are not known.
        width: characters of the bar.
        verbose: 0 nothing; 1 a bar that moves; 2 one line at the end.
        interval: least seconds between two drawings.
        stateful_metrics: names that are shown as they come; all others are averaged over the steps.
        stateless_metrics: names that are averaged over the steps; all others are shown as they come.
        unit_name: what is counted.

    Raises ValueError where both lists of names are given. Source: https://keras.io/api/utils/python_utils/#progbar-class

    Example:

        >>> import contextlib, io
        >>> from graphnet.visualization.progress import Progbar
        >>> with contextlib.redirect_stdout(io.StringIO()) as out:
        ...     bar = Progbar(4, verbose=2)
        ...     for step in range(4):
        ...         bar.add(1, [("loss", float(step))])
        >>> out.getvalue().endswith("/step - loss: 3.0000\\n")
        True
    """

    def __init__(self, target: int | None, width: int = 20, verbose: Any = 1, interval: float = 0.05,
                 stateful_metrics: Iterable[str] | None = None, stateless_metrics: Iterable[str] | None = None,
                 unit_name: str = "step") -> None:
        if stateful_metrics is not None and stateless_metrics is not None:
            raise ValueError("Progbar expects stateful_metrics (those that are not averaged) or stateless_metrics (those that "
                             f"are); received both: {list(stateful_metrics)} and {list(stateless_metrics)}.")
        self.target, self.width, self.verbose, self.interval, self.unit_name = target, width, verbose, interval, unit_name
        self.stateful_metrics = set(stateful_metrics or ())
        self.stateless_metrics = None if stateless_metrics is None else set(stateless_metrics)
        self._redraws = _redraws()
        self._values: dict[str, tuple[Any, float]] = {}  # name -> sum of values, how many
        self._seen = 0
        self._start = time.time()
        self._first_done: float | None = None  # when the first step was over, which is not like the others
        self._drawn_at = 0.0
        self._drawn_width = 0

    @property
    def due(self) -> bool:
        """Whether an update would draw now; if not, it needs no values that are not averaged."""
        return self.verbose == 1 and time.time() - self._drawn_at >= self.interval

    def update(self, current: int, values: Iterable[tuple[str, Any]] | None = None, finalize: bool | None = None) -> None:
        """Says that ``current`` steps are done, with the values of the last; ``finalize``: it was the last (at the target,
        by default).
        """
        if finalize is None:
            finalize = self.target is not None and current >= self.target
        for name, value in values or ():
            self._take(name, value, current, finalize)
        self._seen = current
        now = time.time()
        if current == 1:
            self._first_done = now
        if not finalize and (self.verbose != 1 or now - self._drawn_at < self.interval):
            return
        each = self._step_time(current, now)
        if self.verbose == 1:
            message(self._bar_line(current, now, each, finalize), end="")
        elif self.verbose == 2 and self.target:
            done = f"{current:{len(str(self.target))}d}/{self.target}"
            message(f"{done} - {now - self._start:.0f}s -{self._per_step(each)}{self._metrics()}")
        self._drawn_at = now

    def add(self, n: int, values: Iterable[tuple[str, Any]] | None = None) -> None:
        """Says that ``n`` more steps are done."""
        self.update(self._seen + n, values)

    def _take(self, name: str, value: Any, current: int, finalize: bool) -> None:
        averaged = name in self.stateless_metrics if self.stateless_metrics is not None else name not in self.stateful_metrics
        if not averaged or finalize:
            self._values[name] = value, 1
            return
        steps = max(current - self._seen, 1)
        total, count = self._values.get(name, (0, 0))
        self._values[name] = total + value * steps, count + steps

    def _bar_line(self, current: int, now: float, each: float, finalize: bool) -> str:
        """The whole line, with what takes the cursor back before it and what covers the former line behind it."""
        if self.target:
            filled = int(self.width * (current / self.target))
            bar = [f"{current:{len(str(self.target))}d}/{self.target}", " "]
            shown = f"{_BOLD}{bar[0]}{_PLAIN} " + (f"{_GREEN}{_BAR * filled}{_PLAIN}" if filled > 0 else "")
            shown += f"{_GREY}{_BAR * (self.width - filled)}{_PLAIN}"
            bar.append(_BAR * max(filled, 0) + _BAR * (self.width - filled))
        else:
            shown = f"{current:7d}/Unknown"
            bar = [shown]
        clock = _clock(each * (self.target - current)) if self.target and not finalize else f"{now - self._start:.0f}s"
        rest = self._per_step(each) + self._metrics()
        width = len("".join(bar)) + 1 + len(clock) + len(rest)
        head = "\b" * self._drawn_width + "\r" if self._redraws else "\n"
        cover = " " * (self._drawn_width - width)
        self._drawn_width = width
        return f"{head}{shown} {_BOLD}{clock}{_PLAIN}{rest}{cover}" + ("\n" if finalize else "")

    def _metrics(self) -> str:
        parts = []
        for name, (total, count) in self._values.items():
            mean = float(np.mean(total)) / max(1, count)
            parts.append(f" - {name}: {mean:.4f}" if abs(mean) > 1e-3 else f" - {name}: {mean:.4e}")
        return "".join(parts)

    def _per_step(self, each: float) -> str:
        if each >= 1 or each == 0:
            return f" {each:.0f}s/{self.unit_name}"
        return f" {1e3 * each:.0f}ms/{self.unit_name}" if each >= 1e-3 else f" {1e6 * each:.0f}us/{self.unit_name}"

    def _step_time(self, current: int, now: float) -> float:
        """Seconds a step takes; the first, in which things are compiled, counts only while there is no other."""
        if not current:
            return 0.0
        if self._first_done is not None and current > 1:
            return (now - self._first_done) / (current - 1)
        return (now - self._start) / current


def _clock(seconds: float) -> str:
    whole = math.floor(seconds)
    if seconds > 3600:
        return f"{whole // 3600}:{whole % 3600 // 60:02d}:{whole % 60:02d}"
    return f"{whole // 60}:{whole % 60:02d}" if seconds > 60 else f"{whole}s"


__all__ = ["Progbar", "disable_interactive_logging", "enable_interactive_logging", "is_interactive_logging_enabled", "message"]
