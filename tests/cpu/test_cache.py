"""Compiled kernels are kept, found again, and never trusted blindly."""
import ast
import os
import pathlib
import shutil
import stat
import subprocess
import sys

import pytest

from graphnet.backends.cpu import cache, executor
from graphnet.backends.cpu.cache import Kernel, kernel_stats

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
print(all(results), cache.kernel_stats()["compiled"], cache.kernel_stats()["loaded"], len(told), cache.folder())
"""


def start(folder, **environment):
    return subprocess.Popen([sys.executable, "-c", SCRIPT], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                            env={**os.environ, "GRAPHNET_CACHE_DIR": str(folder), **environment})


def result(process):
    """(right, compiled, loaded, warnings) and the folder that a process used."""
    out, errors = process.communicate(timeout=200)
    assert process.returncode == 0, errors
    right, compiled, loaded, told, folder = out.split()
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


@pytest.mark.parametrize("ending", ["nbc", "nbi"])
def test_a_truncated_entry_is_compiled_again(folder, ending):
    entries = list(folder.glob(f"*.{ending}"))
    assert len(entries) == HELD
    for entry in entries:
        entry.write_bytes(entry.read_bytes()[:entry.stat().st_size // 2])
    assert result(start(folder))[0] == (True, HELD, 0, 0)
    assert result(start(folder))[0] == (True, 0, HELD, 0)


def test_an_empty_and_a_missing_entry_are_compiled_again(folder):
    first, second, _ = sorted(folder.glob("*.nbc"))
    first.write_bytes(b"")
    second.unlink()
    assert result(start(folder))[0] == (True, 2, HELD - 2, 0)


@pytest.mark.skipif(not hasattr(os, "getuid"), reason="this system has no such modes")
def test_a_folder_that_others_may_write_to_is_refused(folder):
    folder.chmod(0o777)
    (right, compiled, loaded, told), used = result(start(folder))
    assert (right, compiled, loaded, told) == (True, HELD, 0, 1)
    assert used != str(folder) and not pathlib.Path(used).exists()


@pytest.mark.skipif(not hasattr(os, "getuid"), reason="this system has no such modes")
def test_a_new_folder_is_the_users_alone(tmp_path, monkeypatch):
    chosen = tmp_path / "new" / "kernels"
    with cache.settings(cache_dir=chosen):
        assert cache.folder.__wrapped__() == chosen
    assert stat.S_IMODE(chosen.stat().st_mode) == 0o700


def test_a_file_in_the_folders_place_is_refused_with_the_mend(tmp_path):
    (tmp_path / "file").write_text("")
    with cache.settings(cache_dir=tmp_path / "file"), pytest.warns(RuntimeWarning, match="GRAPHNET_CACHE_DIR"):
        assert cache.folder.__wrapped__() != tmp_path / "file"


def test_kernel_stats_count_what_this_process_holds():
    executor.ready()
    before = kernel_stats()
    assert executor.ready() is executor.ready()
    assert kernel_stats() == before and sum(before.values()) >= 1


def test_the_oldest_entries_go_when_the_folder_is_full(folder, monkeypatch):
    entries = sorted(folder.glob("*.nb[ic]"))
    for age, entry in enumerate(entries):
        os.utime(entry, (1000 - age, 1000 - age))
    monkeypatch.setattr(cache, "folder", lambda: folder)
    monkeypatch.setattr(cache, "SIZE_CAP", sum(entry.stat().st_size for entry in entries[:2]))
    cache.prune()
    assert sorted(folder.glob("*.nb[ic]")) == entries[:2]


def test_the_hash_follows_imports_and_leaves_planning_out(tmp_path, monkeypatch):
    def texts(**files):
        for name, text in files.items():
            (tmp_path / f"{name}.py").write_text(text)
        cache._read.cache_clear()
        cache.source_hash.cache_clear()
        return cache.source_hash(tmp_path / "kernels.py")
    monkeypatch.setattr(cache, "HERE", tmp_path)
    try:
        uses = "from graphnet.backends.cpu import tiles\nfrom graphnet.backends.cpu.plan import Builder\n"
        first = texts(kernels=uses, tiles="import graphnet.backends.cpu.simd", simd="x = 1", plan="a = 1")
        assert texts(plan="a = 2") == first
        assert len({first, texts(simd="x = 2"), texts(tiles=""), texts(kernels=uses + "y = 1")}) == 4
    finally:
        cache._read.cache_clear()
        cache.source_hash.cache_clear()


def test_no_machine_code_uses_what_planning_files_hold():
    """Their text is not in the key of the cache: a change in them would leave old machine code behind."""
    for path in cache.HERE.rglob("*.py"):
        tree = ast.parse(path.read_text())
        planning = {alias.asname or alias.name for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)
                    if f"{(node.module or '').rpartition('.')[2]}.py" in cache.PLANNING - {"cache.py"} for alias in node.names}
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
