"""The folder of machine code: a file for each compiled function, found by a key of all that the code depends on.

The key is the hash of the function's own file and of every file of this backend that it imports, of the compiler's version and
settings, and of the processor. (numba's own cache looks at the bytecode of one function alone: not at its constants, flags or
callees, numba#8851.) A file's checksum tells damage, and a damaged entry counts as none.

The folder holds code: it must belong to the user alone, and is never taken from a model file.
"""
import atexit
import functools
import hashlib
import importlib.util
import os
import pathlib
import re
import shutil
import stat
import sys
import tempfile
import time
import warnings
from contextlib import suppress

import llvmlite

from graphnet.backends.cpu import machine
from graphnet.files import unfinished, whole_file
from graphnet.settings import settings

HERE = pathlib.Path(__file__).resolve().parent
SIZE_CAP = 256 << 20  # bytes; the oldest entries go first
ENDING = ".kernel"
MAGIC = b"graphnet kernel 1\n"
HASH = hashlib.sha256().digest_size
HOUR = 3600.0  # after which a file that is not finished has been left behind by a process that was killed

# files that kernels' files import for their lowerings; no kernel may use what is in them, so their edits compile nothing anew
PLANNING = frozenset({"cache.py", "calls.py", "encoding.py", "instance.py", "lowering.py", "memory.py", "operand.py",
                      "plan.py", "store.py", "weights.py"})
COMPILER = ("compiling.py", "typed.py")  # what makes machine code of all kernels
# what else numba's compiler looks at, beside the processor
SWITCHES = ("NUMBA_OPT", "NUMBA_LOOP_VECTORIZE", "NUMBA_SLP_VECTORIZE")
IMPORTS = re.compile(r"^(?:from (graphnet\.backends\.cpu[\w.]*) import (?:\(([^)]*)\)|(.*))"
                     r"|import (graphnet\.backends\.cpu[\w.]*))", re.MULTILINE)


# ---- keys

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
    digest = hashlib.sha256()
    for file in sorted(found):
        digest.update(file.name.encode() + b"\0" + found[file])
    return digest.hexdigest()


@functools.cache
def compiler_hash() -> str:
    """Hash of what makes machine code of any kernel: the compiler, its settings, the processor. It imports no numba."""
    numba = importlib.util.find_spec("numba")
    if numba is None or numba.origin is None:
        raise ImportError("graphnet needs numba, which is not installed: pip install numba")
    digest = hashlib.sha256(pathlib.Path(numba.origin).with_name("_version.py").read_bytes())
    switches = [f"{name}={os.environ.get(name, '')}" for name in SWITCHES]
    for each in (llvmlite.__version__, sys.implementation.cache_tag, machine.processor(), machine.features(), *switches,
                 *[source_hash(HERE / name) for name in COMPILER]):
        digest.update(f"{each}\0".encode())
    return digest.hexdigest()


def key_of(path: pathlib.Path, name: str) -> bytes:
    """The key of a function of this backend's file."""
    return hashlib.sha256(f"{name} {source_hash(path)} {compiler_hash()}".encode()).digest()


# ---- the folder

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


# ---- entries

def _path(name: str, key: bytes) -> pathlib.Path:
    return folder() / f"{name}-{key.hex()[:20]}{ENDING}"


def load(name: str, key: bytes) -> bytes | None:
    """The machine code kept under a key; None where there is none, or what there is is damaged."""
    try:
        entry = _path(name, key).read_bytes()
    except OSError:
        return None
    head, code = entry[:len(MAGIC) + 2 * HASH], entry[len(MAGIC) + 2 * HASH:]
    return code if head == MAGIC + key + hashlib.sha256(code).digest() else None


def save(name: str, key: bytes, code: bytes) -> None:
    """Keeps machine code; without effect where the disk is full. Two processes may save at once: the entries are alike."""
    with suppress(OSError), whole_file(_path(name, key)) as file:
        file.write(MAGIC + key + hashlib.sha256(code).digest() + code)
    prune()


def entries() -> list[tuple[float, int, pathlib.Path]]:
    """When it was written, how many bytes and where: of every entry."""
    found = []
    for path in folder().glob(f"*{ENDING}"):
        with suppress(FileNotFoundError):  # another process prunes too
            state = path.stat()
            found.append((state.st_mtime, state.st_size, path))
    return found


def prune() -> None:
    """Drops the oldest entries while the folder is above its size cap, and what killed processes left there."""
    found = entries()
    total = sum(size for _, size, _ in found)
    for _, size, path in sorted(found):
        if total <= SIZE_CAP:
            break
        path.unlink(missing_ok=True)
        total -= size
    for left in unfinished(str(folder())):
        with suppress(OSError):
            if time.time() - os.stat(left).st_mtime > HOUR:
                os.remove(left)
