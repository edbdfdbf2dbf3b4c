"""Every switch of graphnet, typed, in one table; each is read from the environment as ``GRAPHNET_<NAME>``.

Example:

    >>> import graphnet
    >>> with graphnet.settings(threads=1):
    ...     graphnet.settings.threads
    1
"""
import contextvars
import os
import pathlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

_OVERRIDES: contextvars.ContextVar[dict[str, Any] | None] = contextvars.ContextVar("graphnet_settings", default=None)
overridden = _OVERRIDES.get  # what `with settings(...)` changes for this thread; for calls that cannot afford an attribute


def _names(text: str) -> frozenset[str]:
    return frozenset(name.strip() for name in text.split(",") if name.strip())


def _home() -> pathlib.Path:
    return pathlib.Path.home() / ".graphnet"


# name: (how its text is read, default, meaning)
TABLE: dict[str, tuple[Any, Any, str]] = {
    "debug": (int, 0, "1 prints compilations, 2 kernel times, 3 the graph after each pass, 4 the kernels' source"),
    "dump": (pathlib.Path, None, "folder that receives the graph after each pass and the kernels' source"),
    "disable": (_names, frozenset(), "passes to leave out, by name: fuse,cse"),
    "verify": (int, 0, "1 checks the graph after each pass"),
    "threads": (int, 0, "threads a call may use; 0 takes one for each processor"),
    "packed": (int, 1, "0 makes plans that keep no copies of weights in the kernels' order: less memory, slower calls"),
    "cache_dir": (pathlib.Path, None, "folder of the compiled kernels; by default in the user's cache folder"),
    "home": (pathlib.Path, _home(), "folder of data sets and pretrained weights"),
    "strict_masks": (int, 0, "1 makes a mask that is dropped unseen an error instead of a warning"),
}


class Settings:
    """The table as attributes; calling it gives a context in which some of them are changed for this thread."""

    def __init__(self) -> None:
        self._values: dict[str, Any] = {}
        self.reload()

    def reload(self) -> None:
        """Reads the environment again."""
        for name, (read, default, _) in TABLE.items():
            text = os.environ.get(f"GRAPHNET_{name.upper()}")
            try:
                self._values[name] = default if not text else read(text)
            except ValueError:
                raise ValueError(f"GRAPHNET_{name.upper()} expects {read.__name__}, received {text!r}") from None

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_") or name not in TABLE:
            raise AttributeError(f"no setting {name!r}; there are: {', '.join(TABLE)}")
        overrides = _OVERRIDES.get()
        return overrides[name] if overrides and name in overrides else self._values[name]

    @contextmanager
    def __call__(self, **changes: Any) -> Iterator["Settings"]:
        unknown = sorted(set(changes) - set(TABLE))
        if unknown:
            raise ValueError(f"no setting {unknown[0]!r}; there are: {', '.join(TABLE)}")
        token = _OVERRIDES.set({**(_OVERRIDES.get() or {}), **changes})
        try:
            yield self
        finally:
            _OVERRIDES.reset(token)


settings = Settings()
