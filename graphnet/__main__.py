"""The command line.

``python -m graphnet warm`` compiles all kernels beforehand, ``python -m graphnet cache`` shows where they are kept,
``python -m graphnet saved_model show DIR`` what a saved model holds.
"""
import argparse
import sys
import time
import warnings
from collections.abc import Sequence
from typing import Any

from graphnet import saved_model
from graphnet.backends.cpu import executor, store
from graphnet.backends.cpu.warm import everything, make_all

BAR = 32  # characters


def show_progress(done: int, total: int, name: str, stream: Any) -> None:
    """A bar on a terminal; nothing in a log."""
    if stream.isatty():
        filled = BAR * done // total
        stream.write(f"\r[{'#' * filled}{'.' * (BAR - filled)}] {done}/{total} {name[:40]:40}"
                     + ("\n" if done == total else ""))
        stream.flush()


def kept() -> tuple[int, int]:
    """How many files the cache holds, and their bytes."""
    sizes = [size for _, size, _ in store.entries()]
    return len(sizes), sum(sizes)


def warm(jobs: int) -> int:
    """Compiles all kernels, or finds that they are compiled already.

    Fails where one cannot be compiled, or none can be kept.
    """
    with warnings.catch_warnings(record=True) as unsafe:
        warnings.simplefilter("always")
        folder = store.folder()
    if unsafe:
        print(f"python -m graphnet warm: {unsafe[0].message}", file=sys.stderr)
        return 1
    start, total = time.perf_counter(), len(everything())
    counts = {"compiled": 0, "loaded": 0, "failed": 0}
    try:
        for done, (name, state, problem) in enumerate(make_all(jobs), 1):
            counts[state] += 1
            show_progress(done, total, name, sys.stderr)
            if problem:
                print(f"python -m graphnet warm: {name} cannot be compiled: {problem}", file=sys.stderr)
    except RuntimeError as error:
        print(f"python -m graphnet warm: {error}", file=sys.stderr)
        return 1
    failed = f", {counts['failed']} failed" if counts["failed"] else ""
    print(
        f"{counts['compiled']} compiled, {counts['loaded']} loaded{failed} of {total} kernels in "
        f"{time.perf_counter() - start:.1f} s; "
        f"kept in {folder} ({kept()[1] / 2**20:.1f} MB)"
    )
    return 1 if counts["failed"] else 0


def show_cache() -> int:
    """Prints the folder of compiled kernels and what is in it."""
    count, nbytes = kept()
    print(f"{store.folder()}: {count} files, {nbytes / 2**20:.1f} MB of at most {store.SIZE_CAP / 2**20:.0f} MB")
    return 0


def show_saved_model(path: str) -> int:
    """Prints a saved model's signatures, functions, variables and sizes. Fails where it cannot be read."""
    try:
        print(saved_model.show(path))
    except (ValueError, OSError) as error:
        print(f"python -m graphnet saved_model show: {error}", file=sys.stderr)
        return 1
    return 0


def _positive(text: str) -> int:
    if not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"expects a whole number from 1 on; received {text!r}")
    return int(text)


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command; gives the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m graphnet",
        description="Compiled kernels of graphnet: make them beforehand, see where they are kept. "
        "GRAPHNET_CACHE_DIR names another folder for them.",
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="{warm,cache,saved_model}")
    warming = commands.add_parser(
        "warm", help="compile all kernels now, so that no model waits for them", description=warm.__doc__
    )
    warming.add_argument(
        "--jobs",
        type=_positive,
        default=min(executor.processors(), 4),
        metavar="N",
        help="processes that compile (default: %(default)s)",
    )
    commands.add_parser("cache", help="show the folder of compiled kernels and its size", description=show_cache.__doc__)
    models = commands.add_parser("saved_model", help="look into a saved model", description="Look into a saved model.")
    showing = models.add_subparsers(dest="what", required=True, metavar="{show}").add_parser(
        "show", help="show signatures, functions, variables and sizes", description=show_saved_model.__doc__
    )
    showing.add_argument("path", metavar="DIR", help="the directory")
    chosen = parser.parse_args(arguments)
    if chosen.command == "saved_model":
        return show_saved_model(chosen.path)
    return warm(chosen.jobs) if chosen.command == "warm" else show_cache()


if __name__ == "__main__":
    sys.exit(main())
