"""Compiled kernels are kept, found again, and never trusted blindly."""
import ast
import ctypes
import os
import pathlib
import shutil
import stat
import subprocess
import sys
import time

import pytest

from graphnet.backends.cpu import cache, executor, machine, store
from graphnet.backends.cpu.cache import Kernel, kernel_stats
from graphnet.backends.cpu.simd import put_word, word

HELD = 3  # the copy, and what runs plans: the caller's part and a helper's
SCRIPT = """
import warnings
import numpy as np
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    from graphnet.backends.cpu import cache
    from graphnet.backends.cpu.calls import Runner
    from graphnet.backends.cpu.plan import Builder
    from graphnet.settings import settings
    builder = Builder()
    x, y = builder.input((64, 300)), builder.output((300, 64))
    builder.copy(x.transpose((1, 0)), y)
    builder.steps[0].chunk = 1
    value = np.random.default_rng(0).standard_normal((64, 300), "float32")
    runner = Runner(builder.finish())
    results = []
    for threads in (1, 2):
        with settings(threads=threads):
            results.append(np.array_equal(runner([value])[0], value.T))
told = [str(w.message) for w in caught if "graphnet" in str(w.message)]
import sys
stats = cache.kernel_stats()
print(all(results), stats["compiled"], stats["loaded"], len(told), "numba" in sys.modules, cache.folder())
"""
EVERY = """
import sys
from graphnet.backends.cpu import cache, warm
assert not [what for name in warm.everything() for what in [warm.make(name)] if what[1] == "failed"]
print(cache.kernel_stats()["compiled"], "numba" in sys.modules)
"""


def start(folder, **environment):
    return subprocess.Popen([sys.executable, "-c", SCRIPT], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                            env={**os.environ, "GRAPHNET_CACHE_DIR": str(folder), **environment})


def result(process):
    """(right, compiled, loaded, warnings) and the folder that a process used."""
    out, errors = process.communicate(timeout=200)
    assert process.returncode == 0, errors
    right, compiled, loaded, told, numba, folder = out.split()
    assert (numba == "True") == (compiled != "0"), "numba is imported where something is compiled, and only there"
    return (right == "True", int(compiled), int(loaded), int(told)), folder


@pytest.fixture(scope="module")
def filled(tmp_path_factory):
    """A folder that two processes have filled at once."""
    folder = tmp_path_factory.mktemp("kernels")
    folder.chmod(0o700)
    first, second = start(folder), start(folder)
    for process in (first, second):
        (right, compiled, loaded, told), used = result(process)
        assert right and compiled + loaded == HELD and told == 0 and used == str(folder)
    return folder


@pytest.fixture
def folder(filled, tmp_path):
    """A copy of it."""
    shutil.copytree(filled, tmp_path / "kernels")
    (tmp_path / "kernels").chmod(0o700)
    return tmp_path / "kernels"


def test_a_later_process_compiles_nothing(filled):
    assert result(start(filled))[0] == (True, 0, HELD, 0)


DAMAGE = [lambda b: b[:len(b) // 2], lambda b: b[:-1] + bytes([b[-1] ^ 1]), lambda b: bytes([b[0] ^ 1]) + b[1:],
          lambda b: b[:40] + bytes([b[40] ^ 1]) + b[41:], lambda b: b + b"x", lambda b: b[:20], lambda b: b""]


def test_damaged_entries_are_compiled_again(folder):
    entries = list(folder.iterdir())
    assert len(entries) == HELD
    for entry, damage in zip(entries, DAMAGE, strict=False):
        entry.write_bytes(damage(entry.read_bytes()))
    assert result(start(folder))[0] == (True, HELD, 0, 0)
    assert result(start(folder))[0] == (True, 0, HELD, 0)


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_entry_counts_as_none(tmp_path, monkeypatch, damage):
    monkeypatch.setattr(store, "folder", lambda: tmp_path)
    key = bytes(range(store.HASH))
    store.save("some", key, b"machine code")
    assert store.load("some", key) == b"machine code" and store.load("other", key) is None
    entry, = tmp_path.iterdir()
    entry.write_bytes(damage(entry.read_bytes()))
    assert store.load("some", key) is None


def test_another_processor_has_entries_of_its_own(folder):
    assert result(start(folder, NUMBA_CPU_NAME="generic"))[0] == (True, HELD, 0, 0)
    assert len(list(folder.iterdir())) == 2 * HELD
    assert result(start(folder))[0] == result(start(folder, NUMBA_CPU_NAME="generic"))[0] == (True, 0, HELD, 0)


@pytest.mark.slow
def test_no_kernel_at_all_is_compiled_in_a_later_process():
    """Not one that a factory made either: what such a kernel closes over must not make its key another in each process."""
    for _ in range(2):
        done = subprocess.run([sys.executable, "-c", EVERY], capture_output=True, text=True, check=True, timeout=1200)
    assert done.stdout.split() == ["0", "False"]


# ---- in this process

def add_one(row, begin, end, scratch):
    put_word(row, 0, word(row, 0) + 1)


def give_back(x, y):
    return word(x, 0) - y


@pytest.fixture
def own(monkeypatch, tmp_path):
    """A folder of its own, where functions of this file are kept as well."""
    monkeypatch.setattr(cache, "_ours", lambda function: True)
    monkeypatch.setattr(store, "folder", lambda: tmp_path)
    return tmp_path


def counts(function, *args):
    before = kernel_stats()
    made = function(*args)
    return made, tuple(kernel_stats()[what] - before[what] for what in ("compiled", "loaded"))


def test_what_is_kept_but_cannot_be_linked_is_compiled_again(own):
    assert counts(cache.machine_code, add_one, 4)[1] == (1, 0)
    first, again = counts(cache.machine_code, add_one, 4)
    assert first and again == (0, 1)
    store.save("add_one", store.key_of(pathlib.Path(__file__).resolve(), "add_one"), b"not an object file")
    assert counts(cache.machine_code, add_one, 4)[1] == (1, 0)
    address = counts(cache.machine_code, add_one, 4)[0]
    value = ctypes.c_int64(41)
    ctypes.CFUNCTYPE(None, *[ctypes.c_int64] * 4)(address)(ctypes.addressof(value), 0, 0, 0)
    assert value.value == 42


def test_a_function_for_python_takes_integers(own):
    value = ctypes.c_int64(2**40)
    for expected in ((1, 0), (0, 1)):
        function, made = counts(cache.python_function, give_back)
        assert made == expected and function(ctypes.addressof(value), -5) == 2**40 + 5
        for wrong in ((1,), (1, 2, 3), ("a", 1), (1, 2**70)):
            with pytest.raises((TypeError, OverflowError)):
                function(*wrong)


def test_what_is_missing_is_an_error_before_anything_is_called(own):
    from graphnet.backends.cpu.compiling import object_code
    code = object_code(add_one, 4, "add_one", False)
    with pytest.raises(RuntimeError):
        machine.link(code, "add_two")
    needed = object_code(give_back, 2, "give_back", True).replace(b"PyEval_SaveThread", b"PyEval_SaveThreaf")
    with pytest.raises(RuntimeError):
        machine.link(needed, "give_back")


def test_a_full_disk_does_not_matter(own, monkeypatch):
    def full(path, mode="wb"):
        raise OSError(28, "No space left on device")
    monkeypatch.setattr(store, "whole_file", full)
    assert cache.machine_code(add_one, 4) and not list(own.iterdir())


def test_one_line_tells_what_takes_so_long(capsys, monkeypatch):
    monkeypatch.setattr(cache, "_told", False)
    monkeypatch.setattr(cache, "_spent", 0.5 * cache.PATIENCE)
    cache.tell()
    assert capsys.readouterr().err == ""
    monkeypatch.setattr(cache, "_spent", 2 * cache.PATIENCE)
    cache.tell()
    cache.tell()
    told = capsys.readouterr().err
    assert told.count("\n") == 1 and "once on this machine" in told
    assert "python -m graphnet warm" in told and str(cache.folder()) in told


def test_functions_of_kernels_are_not_called_from_python():
    with pytest.raises(TypeError, match="called by kernels alone"):
        word(0, 0)


@pytest.mark.skipif(not hasattr(os, "getuid"), reason="this system has no such modes")
def test_a_folder_that_others_may_write_to_is_refused(folder):
    folder.chmod(0o777)
    (right, compiled, loaded, told), used = result(start(folder))
    assert (right, compiled, loaded, told) == (True, HELD, 0, 1)
    assert used != str(folder) and not pathlib.Path(used).exists()


@pytest.mark.skipif(not hasattr(os, "getuid"), reason="this system has no such modes")
def test_a_new_folder_is_the_users_alone(tmp_path, monkeypatch):
    chosen = tmp_path / "new" / "kernels"
    with store.settings(cache_dir=chosen):
        assert store.folder.__wrapped__() == chosen
    assert stat.S_IMODE(chosen.stat().st_mode) == 0o700


def test_a_file_in_the_folders_place_is_refused_with_the_mend(tmp_path):
    (tmp_path / "file").write_text("")
    with store.settings(cache_dir=tmp_path / "file"), pytest.warns(RuntimeWarning, match="GRAPHNET_CACHE_DIR"):
        assert store.folder.__wrapped__() != tmp_path / "file"


def test_kernel_stats_count_what_this_process_holds():
    executor.ready()
    before = kernel_stats()
    assert executor.ready() is executor.ready()
    assert kernel_stats() == before and sum(before.values()) >= 1


def test_the_oldest_entries_go_when_the_folder_is_full(folder, monkeypatch):
    entries = sorted(folder.iterdir())
    for age, entry in enumerate(entries):
        os.utime(entry, (1000 - age, 1000 - age))
    for name, age in (("old", 2 * store.HOUR), ("new", 0.0)):
        left = folder / f".{name}.pending"
        left.write_bytes(b"half")
        os.utime(left, (time.time() - age,) * 2)
    monkeypatch.setattr(store, "folder", lambda: folder)
    monkeypatch.setattr(store, "SIZE_CAP", sum(entry.stat().st_size for entry in entries[:2]))
    store.prune()
    assert sorted(folder.iterdir()) == [folder / ".new.pending", *entries[:2]]


def test_the_hash_follows_imports_and_leaves_planning_out(tmp_path, monkeypatch):
    def texts(**files):
        for name, text in files.items():
            (tmp_path / f"{name}.py").write_text(text)
        store._read.cache_clear()
        store.source_hash.cache_clear()
        return store.source_hash(tmp_path / "kernels.py")
    monkeypatch.setattr(store, "HERE", tmp_path)
    try:
        uses = "from graphnet.backends.cpu import tiles\nfrom graphnet.backends.cpu.plan import Builder\n"
        first = texts(kernels=uses, tiles="import graphnet.backends.cpu.simd", simd="x = 1", plan="a = 1")
        assert texts(plan="a = 2") == first
        assert len({first, texts(simd="x = 2"), texts(tiles=""), texts(kernels=uses + "y = 1")}) == 4
    finally:
        store._read.cache_clear()
        store.source_hash.cache_clear()


def test_no_machine_code_uses_what_planning_files_hold():
    """Their text is not in the key of the cache: a change in them would leave old machine code behind."""
    for path in store.HERE.rglob("*.py"):
        tree = ast.parse(path.read_text())
        planning = {alias.asname or alias.name for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)
                    if f"{(node.module or '').rpartition('.')[2]}.py" in store.PLANNING - {"cache.py"} for alias in node.names}
        for node in ast.walk(tree):
            if isinstance(node, ast.FunctionDef) and {"kernel", "jit", "njit"} & {
                    getattr(getattr(d, "func", d), "id", None) for d in node.decorator_list}:
                used = {name.id for statement in node.body for name in ast.walk(statement) if isinstance(name, ast.Name)}
                assert not used & planning, f"{path.name}: {node.name} uses {used & planning}"


def test_two_kernels_of_one_name_are_refused(monkeypatch):
    monkeypatch.setattr(cache, "_ours", lambda function: True)

    def copy_strided(row, begin, end, scratch):
        pass
    monkeypatch.setitem(cache._kernels, "copy_strided", Kernel.__new__(Kernel))
    cache._kernels["copy_strided"].function = copy_strided
    with pytest.raises(ValueError, match="two kernels copy_strided"):
        Kernel(copy_strided)


def test_every_kernel_is_listed():
    from graphnet.backends.cpu.kernels.copy import copy_strided
    assert copy_strided in cache.all_kernels()
    names = [each.name for each in cache.all_kernels()]
    assert names == sorted(set(names))
