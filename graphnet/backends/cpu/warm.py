"""Compiling all kernels beforehand, in several processes: numba compiles one function at a time in each."""
import concurrent.futures
import functools
import multiprocessing
from collections.abc import Iterator

from graphnet.backends.cpu import cache, driver, executor
from graphnet.backends.cpu.kernels.elementwise import block
from graphnet.op import OPS

EXECUTE = "execute"  # what runs a plan: not a kernel, but compiled and kept like one


def everything() -> list[str]:
    """The names of all that is compiled: the driver has imported every file of kernels, and each formula has a kernel."""
    assert driver
    for op in OPS.values():
        if getattr(op, "formula", ""):
            block(op.formula)  # type: ignore[attr-defined]
    return [EXECUTE, *(k.name for k in cache.all_kernels())]


@functools.cache
def _kernels() -> dict[str, cache.Kernel]:
    everything()
    return {k.name: k for k in cache.all_kernels()}


def make(name: str) -> tuple[str, str, str]:
    """Compiles or loads one of them: its name, "compiled", "loaded" or "failed", and what went wrong."""
    cache.quiet()  # whoever calls shows how far it is
    before = cache.kernel_stats()["compiled"]
    try:
        if name == EXECUTE:
            executor.ready()
        else:
            assert _kernels()[name].address
    except Exception as error:  # one that fails must not keep the others from being made
        return name, "failed", f"{type(error).__name__}: {str(error).strip()}"
    return name, "compiled" if cache.kernel_stats()["compiled"] > before else "loaded", ""


def make_all(jobs: int) -> Iterator[tuple[str, str, str]]:
    """`make` for everything, in the order in which they are done; raises RuntimeError where a process dies."""
    if jobs == 1:
        yield from map(make, everything())
        return
    with concurrent.futures.ProcessPoolExecutor(jobs, multiprocessing.get_context("spawn")) as pool:
        waiting = [pool.submit(make, name) for name in everything()]
        try:
            for done in concurrent.futures.as_completed(waiting):
                yield done.result()
        except concurrent.futures.process.BrokenProcessPool as error:
            raise RuntimeError(
                f"a process that compiled kernels ended early, perhaps for lack of memory ({error}). Try --jobs 1."
            ) from error
