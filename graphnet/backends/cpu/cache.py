"""Kernels compiled once on a machine: the `kernel` and `jit` decorators, and the folder that keeps what they compiled.

numba keys its cache by the bytecode of one function alone: not by its constants, flags or callees (numba#8851), so
an edited helper would leave stale machine code behind. Here the key is the hash of the kernel's own file and of every file
of this backend that it imports. And numba names symbols with a counter that starts anew in each process, so that two
bodies of one name may meet in a cache (numba#10486): hence each jitted function here has a name of its own.

The folder holds code: it must belong to the user alone, and is never taken from a model file.
"""
import atexit
import functools
import hashlib
import inspect
import os
import pathlib
import re
import shutil
import stat
import sys
import tempfile
import threading
import time
import warnings
from collections.abc import Callable
from typing import Any

import llvmlite
import numba
from numba import cfunc, njit, types
from numba.core import caching

from graphnet.settings import settings

A = types.intp
KERNEL = types.void(A, A, A, A)  # argument row, first task, task after the last, scratch of this thread
HERE = pathlib.Path(__file__).resolve().parent
SIZE_CAP = 256 << 20  # bytes; the oldest entries go first

FLAGS: dict[str, Any] = {"error_model": "numpy"}
jit: Any = njit(**FLAGS, no_cpython_wrapper=True, no_cfunc_wrapper=True)  # for what only kernels call
# files that kernels' files import for their lowerings; no kernel may use what is in them, so their edits compile nothing anew
PLANNING = frozenset({"cache.py", "calls.py", "encoding.py", "instance.py", "lowering.py", "memory.py", "operand.py",
                      "plan.py", "weights.py"})

_lock = threading.RLock()
_kernels: dict[str, "Kernel"] = {}
_counts = {"compiled": 0, "loaded": 0}


IMPORTS = re.compile(r"^(?:from (graphnet\.backends\.cpu[\w.]*) import (?:\(([^)]*)\)|(.*))|import (graphnet\.backends\.cpu[\w.]*))", re.MULTILINE)


@functools.cache
def _read(path: pathlib.Path) -> tuple[bytes, tuple[pathlib.Path, ...]]:
    """A file's text, and the files of this backend that it imports for its machine code."""
    text = path.read_bytes()
    modules: set[str] = set()
    for module, listed, line, plain in IMPORTS.findall(text.decode("utf-8")):
        names = [name.split(" as ")[0].strip() for name in (listed or line.split("#")[0]).split(",")]
        modules |= {plain} if plain else {module} | {f"{module}.{name}" for name in names if name}
    ours = [m.split(".")[3:] for m in sorted(modules) if m.startswith("graphnet.backends.cpu.")]
    here = [HERE.joinpath(*names).with_suffix(".py") for names in ours]
    return text, tuple(file for file in here if file.exists() and file.name not in PLANNING)


@functools.cache
def source_hash(path: pathlib.Path) -> str:
    """Hash of a file and, through its imports, of all files of this backend that its machine code depends on."""
    found: dict[pathlib.Path, bytes] = {}
    todo = [path]
    while todo:
        file = todo.pop()
        if file not in found:
            found[file], imported = _read(file)
            todo += imported
    numba_flags = (numba.config.OPT, numba.config.LOOP_VECTORIZE, numba.config.SLP_VECTORIZE)
    digest = hashlib.sha256(f"{numba.__version__} {llvmlite.__version__} {numba_flags} {FLAGS}".encode())
    for file in sorted(found):
        digest.update(file.name.encode() + b"\0" + found[file])
    return digest.hexdigest()


@functools.cache
def folder() -> pathlib.Path:
    """The folder of compiled kernels, made if need be; a private temporary one where the usual one is not safe."""
    chosen = settings.cache_dir or _user_cache() / "graphnet" / "kernels"
    try:
        chosen.mkdir(parents=True, exist_ok=True, mode=0o700)
        state = chosen.stat()
        if hasattr(os, "getuid") and (state.st_uid != os.getuid() or state.st_mode & (stat.S_IWGRP | stat.S_IWOTH)):
            raise PermissionError("others own it or may write to it")
        tempfile.TemporaryFile(dir=chosen).close()
        return chosen
    except OSError as error:
        warnings.warn(
            f"graphnet cannot keep compiled kernels in {chosen} ({error}); they are compiled again in each process. "
            "Set GRAPHNET_CACHE_DIR to a folder that only you can write to.", RuntimeWarning, stacklevel=2)
        private = pathlib.Path(tempfile.mkdtemp(prefix="graphnet-"))
        atexit.register(shutil.rmtree, private, ignore_errors=True)
        return private


def _user_cache() -> pathlib.Path:
    if sys.platform == "win32":
        return pathlib.Path(os.environ.get("LOCALAPPDATA", pathlib.Path.home()))
    if sys.platform == "darwin":
        return pathlib.Path.home() / "Library" / "Caches"
    return pathlib.Path(os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache")


class Locator(caching._CacheLocator):
    """Tells numba where the functions of this backend are kept, and under which hash."""

    def __init__(self, path: pathlib.Path) -> None:
        self._hash = source_hash(path)

    def ensure_cache_path(self) -> None:
        pass  # `folder` has made it; numba's own way creates a temporary file each time

    def get_cache_path(self) -> str:
        return str(folder())

    def get_source_stamp(self) -> str:
        return self._hash

    def get_disambiguator(self) -> str:
        return self._hash[:20]

    @classmethod
    def from_function(cls, py_func: Callable[..., Any], py_file: str) -> "Locator | None":
        return cls(pathlib.Path(py_file).resolve()) if _ours(py_func) else None


def _ours(function: Callable[..., Any]) -> bool:
    return pathlib.Path(function.__code__.co_filename).resolve().is_relative_to(HERE)


caching.CacheImpl._locator_classes.insert(0, Locator)


class Kernel:
    """``void kernel(int64* row, int64 begin, int64 end, int64 scratch)``; compiled, or loaded, when its address is asked for.

    A function outside of this backend's folder is compiled in each process: only for files here is it known what they depend on.
    """

    def __init__(self, function: Callable[..., None]) -> None:
        self.function, self.name, self._kept = function, function.__name__, _ours(function)
        self.doc = function.__doc__ or ""
        self._compiled: Any = None
        if self._kept and self.name in _kernels:  # numba's symbols would collide
            raise ValueError(f"there are two kernels {self.name}: in {_kernels[self.name].module} and in {self.module}")
        _kernels[self.name] = self

    @property
    def module(self) -> str:
        """Where it is defined."""
        return self.function.__module__

    @property
    def address(self) -> int:
        if self._compiled is None:
            with _lock:
                if self._compiled is None:
                    show_source(self.function)
                    self._compiled = cached(self.name, lambda: cfunc(KERNEL, **FLAGS, cache=self._kept)(self.function))
        return int(self._compiled.address)

    def __repr__(self) -> str:
        return f"<kernel {self.name}>"


kernel = Kernel


def cached(name: str, compile_it: Callable[[], Any]) -> Any:
    """What `compile_it` gives, counted; a damaged entry of the cache is thrown away and compiled again."""
    start = time.perf_counter()
    try:
        made = compile_it()
    except Exception as damage:
        entries = [p for p in folder().glob("*.nb[ic]") if f".{name}-" in p.name]
        if not entries:
            raise
        for entry in entries:
            entry.unlink(missing_ok=True)
        try:
            made = compile_it()
        except Exception:
            raise damage from None
    hit = bool(made.cache_hits if isinstance(made, numba.core.ccallback.CFunc) else sum(made.stats.cache_hits.values()))
    _counts["loaded" if hit else "compiled"] += 1
    if settings.debug >= 1:
        taken = 1e3 * (time.perf_counter() - start)
        print(f"graphnet: {name} {'loaded' if hit else 'compiled'} in {taken:.0f} ms", file=sys.stderr)
    if not hit:
        prune()
    return made


def show_source(function: Callable[..., Any]) -> None:
    """A kernel's source, printed under GRAPHNET_DEBUG=4 and written under GRAPHNET_DUMP."""
    if settings.debug < 4 and settings.dump is None:
        return
    source = inspect.getsource(function)
    if settings.debug >= 4:
        print(source, file=sys.stderr)
    if settings.dump is not None:
        settings.dump.mkdir(parents=True, exist_ok=True)
        (settings.dump / f"kernel_{function.__name__}.py").write_text(source)


def prune() -> None:
    """Drops the oldest entries while the folder is above its size cap."""
    entries = []
    for path in folder().glob("*.nb[ic]"):
        try:
            state = path.stat()
        except FileNotFoundError:
            continue  # another process prunes too
        entries.append((state.st_mtime, state.st_size, path))
    total = sum(size for _, size, _ in entries)
    for _, size, path in sorted(entries):
        if total <= SIZE_CAP:
            return
        path.unlink(missing_ok=True)
        total -= size


def kernel_stats() -> dict[str, int]:
    """How many compiled functions this process holds: ``compiled`` here, and ``loaded`` from the cache.

    Example:

        >>> import graphnet
        >>> sorted(graphnet.kernel_stats())
        ['compiled', 'loaded']
    """
    return dict(_counts)


def all_kernels() -> list[Kernel]:
    """Every kernel whose file has been imported, in the order of their names."""
    return [_kernels[name] for name in sorted(_kernels)]
