"""Kernels compiled once on a machine: the `kernel`, `jit` and `intrinsic` decorators, and machine code when it is asked for.

What the decorators give is light: numba, which finds the functions that a kernel calls among its globals, is asked in only
where machine code is not kept yet (`store`). All else is linked as it lies there (`machine`).
"""
import functools
import inspect
import pathlib
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

from graphnet.backends.cpu import machine, store
from graphnet.backends.cpu.store import folder as folder
from graphnet.settings import settings

ARGUMENTS = 4  # of a kernel: argument row, first task, task after the last, scratch of this thread
PATIENCE = 2.0  # seconds of compiling, after which the user is told what is going on

_lock = threading.RLock()
_kernels: dict[str, "Kernel"] = {}
_counts = {"compiled": 0, "loaded": 0}
_spent = 0.0  # seconds of compiling
_told = False


class Jitted:
    """A function that kernels call; numba reads `_numba_type_` where a kernel names it."""

    def __init__(self, function: Callable[..., Any]) -> None:
        self.function = function
        functools.update_wrapper(self, function)

    @functools.cached_property
    def _numba_type_(self) -> Any:
        from graphnet.backends.cpu.compiling import callee
        return callee(self.function)

    def __call__(self, *args: Any) -> Any:
        raise TypeError(f"{self.function.__qualname__} is called by kernels alone, in their machine code")

    def __repr__(self) -> str:
        return f"<jit {self.function.__qualname__}>"


class Intrinsic(Jitted):
    """A function whose LLVM code kernels have in their own: see `intrinsic`."""

    def __init__(self, function: Callable[..., Any], prefer_literal: bool) -> None:
        super().__init__(function)
        self.prefer_literal = prefer_literal

    @functools.cached_property
    def _numba_type_(self) -> Any:
        from graphnet.backends.cpu.compiling import built
        return built(self.function, self.prefer_literal)


jit: Any = Jitted


def intrinsic(prefer_literal: bool = False) -> Callable[[Callable[..., Any]], Any]:
    """For a function of the types that there are (`typed`) and of those of the arguments.

    It gives a signature and codegen(context, builder, signature, args), or None for arguments that it does not take.
    """
    return lambda function: Intrinsic(function, prefer_literal)


def _ours(function: Callable[..., Any]) -> bool:
    return pathlib.Path(function.__code__.co_filename).resolve().is_relative_to(store.HERE)


class Kernel:
    """``void kernel(int64* row, int64 begin, int64 end, int64 scratch)``; compiled, or loaded, when its address is asked for.

    A function outside of this backend's folder is compiled in each process: only of files here is it known what they need.
    """

    def __init__(self, function: Callable[..., None]) -> None:
        self.function, self.name = function, function.__name__
        self.doc = function.__doc__ or ""
        self._address = 0
        if _ours(function) and self.name in _kernels:  # one entry in the folder is for both
            raise ValueError(f"there are two kernels {self.name}: in {_kernels[self.name].module} and in {self.module}")
        _kernels[self.name] = self

    @property
    def module(self) -> str:
        """Where it is defined."""
        return self.function.__module__

    @property
    def address(self) -> int:
        if not self._address:
            with _lock:
                self._address = self._address or machine_code(self.function, ARGUMENTS)
        return self._address

    def __repr__(self) -> str:
        return f"<kernel {self.name}>"


kernel = Kernel


def python_function(function: Callable[..., Any]) -> Any:
    """A function of integers, compiled or loaded, that Python calls, and that runs without the GIL."""
    with _lock:
        address = machine_code(function, function.__code__.co_argcount, python=True)
        return machine.python_function(address, function.__name__, function.__doc__ or "")


def machine_code(function: Callable[..., Any], count: int, python: bool = False) -> int:
    """The address of a function's machine code; what is kept but cannot be linked is compiled again."""
    start, name = time.perf_counter(), function.__name__
    show_source(function)
    kept = _ours(function)
    key = store.key_of(pathlib.Path(function.__code__.co_filename).resolve(), name) if kept else b""
    code, how = store.load(name, key) if kept else None, "loaded"
    address = 0
    if code is not None:
        try:
            address = machine.link(code, name)
        except RuntimeError:  # for a system that is not this one
            code = None
    if code is None:
        how, code = "compiled", _compile(function, count, name, python)
        address = machine.link(code, name)
        if kept:
            store.save(name, key, code)
    _counts[how] += 1
    if settings.debug >= 1:
        print(f"graphnet: {name} {how} in {1e3 * (time.perf_counter() - start):.1f} ms", file=sys.stderr)
    return address


def _compile(function: Callable[..., Any], count: int, name: str, python: bool) -> bytes:
    global _spent
    tell()
    start = time.perf_counter()
    from graphnet.backends.cpu.compiling import object_code
    code = object_code(function, count, name, python)
    _spent += time.perf_counter() - start
    return code


def tell() -> None:
    """One line for whoever waits: what takes so long, that it happens once, and what to do about it."""
    global _told
    if _spent > PATIENCE and not _told:
        _told = True
        done = f"{_counts['compiled']} in {_spent:.0f} s so far"
        print(f"graphnet: compiling kernels, once on this machine ({done}); they are kept in {folder()}. "
              "`python -m graphnet warm` compiles all of them beforehand.", file=sys.stderr)


def quiet() -> None:
    """Lets `tell` say nothing in this process: something else shows how far it is."""
    global _told
    _told = True


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
