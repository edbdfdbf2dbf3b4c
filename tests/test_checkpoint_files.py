"""A checkpoint's files against damage, a full disk, a killed writer, and two writers at once: the old one or the new one,
whole.
"""
import errno
import json
import os
import pathlib
import subprocess
import sys
import textwrap
import zlib

import numpy as np
import pytest
from safetensors.numpy import load, save

import graphnet as gn
from graphnet.errors import FileFormatError
from graphnet.train import folder, layout

KEY = "v/0/.ATTRIBUTES/VARIABLE_VALUE"
posix = pytest.mark.skipif(os.name != "posix", reason="signals, limits and locks of folders are POSIX's")


def tree(value):
    return gn.train.Checkpoint(v=[gn.Variable(np.full(4, value, "float32")), gn.Variable(np.full((2, 3), value, "int32"))])


def held(root):
    """The one number that all of a tree's variables hold."""
    numbers = {int(x) for v in root.v for x in v.value.ravel()}
    assert len(numbers) == 1, numbers
    return numbers.pop()


def stored(path):
    root = tree(-1)
    root.restore(path).assert_consumed()
    return held(root)


# ---- damage

@pytest.fixture
def saved(tmp_path):
    path = tree(7).write(tmp_path / "a", max_shard_size=16)
    return path, sorted(p for p in tmp_path.iterdir())


def refuses_or_is_as_it_was(path):
    root = tree(-1)
    try:
        root.restore(path)
    except FileFormatError:
        assert held(root) == -1  # nothing was changed
        return True
    assert held(root) == 7
    return False


def test_damage_is_found_wherever_it_is(saved):
    path, files = saved
    for file in files:
        whole = file.read_bytes()
        unharmed = 0
        for at in range(len(whole)):
            harmed = bytearray(whole)
            harmed[at] ^= 1 << at % 8
            file.write_bytes(harmed)
            unharmed += not refuses_or_is_as_it_was(path)
        assert unharmed == 0 or file.suffix == ".index" and unharmed < 8, file  # a kind of number whose bytes are the same
        for length in range(0, len(whole), 7):
            file.write_bytes(whole[:length])
            assert refuses_or_is_as_it_was(path)
        file.write_bytes(whole + b"\0")
        assert refuses_or_is_as_it_was(path)
        file.unlink()
        assert refuses_or_is_as_it_was(path)
        file.write_bytes(whole)
    assert stored(path) == 7


def test_files_of_two_checkpoints_do_not_mix(tmp_path):
    a, b = tree(1).write(tmp_path / "a"), tree(2).write(tmp_path / "b")
    os.replace(a + ".data-00000-of-00001", b + ".data-00000-of-00001")
    with pytest.raises(FileFormatError, match="checksum"):
        stored(b)
    os.replace(b + ".index", b + "_moved.index")
    with pytest.raises(FileFormatError, match="missing"):
        stored(b + "_moved")


def rewrite(path, change):
    """Changes what an index says, with a checksum that holds: what an attacker would write."""
    body = json.loads(load(pathlib.Path(path + ".index").read_bytes())[layout.GRAPH].tobytes())
    body = change(body) or body
    text = np.frombuffer(json.dumps(body).encode(), "uint8")
    pathlib.Path(path + ".index").write_bytes(save({layout.GRAPH: text,
                                                    layout.CHECKSUM: np.array([zlib.crc32(text)], "uint32")}))


HUGE = 1 << 62


@pytest.mark.parametrize("change, message", [
    (lambda b: b.update(version=2), "newer graphnet"), (lambda b: b.update(version="1"), "no index"),
    (lambda b: b.update(format="other"), "no index"), (lambda b: [1], "no index"),
    (lambda b: b.__delitem__("nodes"), "malformed"),
    (lambda b: b.update(nodes=[]), "malformed"), (lambda b: b["nodes"][0]["children"].update(v=99), "malformed"),
    (lambda b: b["nodes"][0]["children"].update(v=-1), "malformed"),
    (lambda b: b["nodes"][-1].update(value="absent"), "malformed"),
    (lambda b: b["nodes"][-1].update(value=["x"]), "malformed"), (lambda b: b["nodes"][-1].update(state="pickle"), "malformed"),
    (lambda b: b["shards"][0].update(staged="../../etc/passwd"), "malformed"),
    (lambda b: b["shards"][0].update(staged=f".a.data-00001-of-{len(b['shards']):05d}.ab"), "malformed"),
    (lambda b: b["shards"][0].update(bytes=HUGE), "bytes"),
    (lambda b: b["shards"][0].update(bytes=-1), "malformed"),
    (lambda b: b["tensors"][KEY].__setitem__(2, [HUGE, HUGE]), "as the index"),
    (lambda b: b["tensors"][KEY].__setitem__(1, "object"), "as the index"),
    (lambda b: b["tensors"][KEY].__setitem__(0, 5), "malformed"),
    (lambda b: b["tensors"].update(x=[0, "float32", [1]]), "as the index"), (lambda b: b["tensors"].update(x=3), "malformed")])
def test_an_index_that_says_what_is_not_so(change, message, tmp_path):
    path = tree(7).write(tmp_path / "a")
    rewrite(path, change)
    root = tree(-1)
    with pytest.raises(FileFormatError, match=message):
        root.restore(path)
    assert held(root) == -1


def test_sizes_in_a_data_file_are_checked_before_anything_is_made(tmp_path):
    path = tree(7).write(tmp_path / "a")
    header = json.dumps({KEY: {"dtype": "F32", "shape": [HUGE], "data_offsets": [0, 4 * HUGE]}}).encode()
    data = len(header).to_bytes(8, "little") + header
    for blob in (data, HUGE.to_bytes(8, "little"), b"", b"\x80\x04" + b"c" * 20):
        pathlib.Path(path + ".data-00000-of-00001").write_bytes(blob)
        rewrite(path, lambda b, blob=blob: b["shards"][0].update(bytes=len(blob), crc32=zlib.crc32(blob)))
        with pytest.raises(FileFormatError, match="no safetensors"):
            stored(path)


# ---- a full disk, and other faults

class Faults:
    """The n-th write, sync or rename fails."""

    def __init__(self, monkeypatch, number):
        self.left, self.error = number, OSError(errno.ENOSPC, "No space left on device")
        opened = os.fdopen
        for name in ("fsync", "replace"):
            monkeypatch.setattr(f"graphnet.files.os.{name}", self.failing(getattr(os, name)))
        monkeypatch.setattr("graphnet.files.os.fdopen", lambda *a, **k: self.watched(opened(*a, **k)))

    def failing(self, function):
        def call(*args):
            self.left -= 1
            if self.left < 0:
                raise self.error
            return function(*args)
        return call

    def watched(self, file):
        faults = self

        class Watched:
            def __enter__(self):
                return self

            def __exit__(self, *error):
                file.close()

            def write(self, data):
                file.write(data[:len(data) // 2])  # a part of it is on the disk
                return len(data) // 2 + faults.failing(file.write)(data[len(data) // 2:])

            def __getattr__(self, name):
                return getattr(file, name)
        return Watched()


@pytest.mark.parametrize("before", [None, 1, 3], ids=["new", "replaced", "replaced_by_fewer"])
def test_each_write_may_fail(before, tmp_path):
    path = str(tmp_path / "a")
    sizes = {1: 1 << 30, 3: 1}
    for number in range(100):
        for left in tmp_path.iterdir():
            left.unlink()
        if before is not None:
            tree(1).write(path, max_shard_size=sizes[before])
        with pytest.MonkeyPatch.context() as patch:
            faults = Faults(patch, number)
            try:
                tree(2).write(path, max_shard_size=1 if before != 3 else 1 << 30)
            except OSError as error:
                assert error is faults.error
                failed = True
            else:
                failed = False
        found = stored(path) if os.path.exists(path + ".index") else None
        assert found == 2 if not failed else found in (before and 1, 2)
        assert found == 2 or not any(n.startswith(".") for n in os.listdir(tmp_path))  # nothing is left of what failed
        tree(3).write(path)
        assert stored(path) == 3 and sorted(os.listdir(tmp_path)) == ["a.data-00000-of-00001", "a.index"]
        if not failed:
            break
    assert number > 8


def test_a_save_that_fails_does_not_count(tmp_path):
    root = tree(1)
    manager = gn.train.CheckpointManager(root, tmp_path, 1)
    first = manager.save()
    for save_ in (manager.save, lambda: root.save(tmp_path / "ckpt")):
        with pytest.MonkeyPatch.context() as patch:
            Faults(patch, 2)
            with pytest.raises(OSError, match="No space"):
                save_()
        assert int(root.save_counter) == 1 and manager.latest_checkpoint == first == gn.train.latest_checkpoint(tmp_path)
        assert stored(first) == 1
    assert os.path.basename(manager.save()) == "ckpt-2"


def test_without_locks_it_works_as_well(tmp_path, monkeypatch):
    monkeypatch.setattr(folder, "fcntl", None)
    for value in (1, 2):
        assert stored(tree(value).write(tmp_path / "a")) == value
    assert sorted(os.listdir(tmp_path)) == ["a.data-00000-of-00001", "a.index"]


# ---- other processes

def drive(program, *args):
    """Runs a program of this file's in a process of its own, which forks before graphnet has any thread."""
    program = "import os, random, resource, signal, sys, time\nsys.path.insert(0, sys.argv[1])\n" \
              "from test_checkpoint_files import *\n" + textwrap.dedent(program)
    environment = dict(os.environ, PYTHONPATH=os.pathsep.join(p for p in sys.path if p), PYTHONWARNINGS="ignore")
    run = subprocess.run([sys.executable, "-c", program, os.path.dirname(__file__), *map(str, args)], capture_output=True,
                         text=True, env=environment, timeout=300)
    assert run.returncode == 0, run.stderr[-3000:]
    return run.stdout.split()


@posix
def test_a_writer_that_is_killed_leaves_one_whole(tmp_path):
    """Kills at random moments: within one `write` over a checkpoint, and within a manager's saves."""
    out = drive(
        """
        random.seed(5)
        path, managed, kills = sys.argv[2] + "/a", sys.argv[2] + "/managed", int(sys.argv[3])
        tree(0).write(path)
        begun = time.perf_counter()
        tree(0).write(path)
        unit, (heard, says) = time.perf_counter() - begun, os.pipe()
        for kill in range(20 * kills):
            if kill >= kills and last > 3:
                break  # on a busy machine it takes more rounds until some writes were whole
            child = os.fork()
            if child == 0:
                root = tree(0)
                manager = gn.train.CheckpointManager(root, managed, 2)
                manager.restore_or_initialize()
                value = held(root)
                os.write(says, b"!")
                while True:
                    value += 1
                    for v in root.v:
                        v.assign(v * 0 + value)
                    root.write(path, max_shard_size=random.choice([1, 1000]))
                    manager.save()
            os.read(heard, 1)
            time.sleep(random.uniform(0, 5 * unit))
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
            last = stored(path)
            latest = gn.train.latest_checkpoint(managed)
            if latest is not None:
                count = int(latest.split("-")[-1])
                assert int(gn.train.load_variable(latest, "save_counter/.ATTRIBUTES/VARIABLE_VALUE")) == count
                assert stored(latest) >= 1
        tree(0).write(path)
        manager = gn.train.CheckpointManager(tree(0), managed, 2)
        manager.restore_or_initialize()
        manager.save()
        print(last, len(os.listdir(managed)), *(name for name in os.listdir(sys.argv[2]) if name.startswith(".")))
        """,
        tmp_path,
        20,
    )
    assert int(out[0]) > 3 and out[1:] == ["5"]  # two checkpoints and the file of states, and nothing that nobody needs


@posix
def test_two_writers_at_once_and_a_reader(tmp_path):
    out = drive("""
        path = sys.argv[2] + "/a"
        tree(0).write(path)
        children = []
        for value in (1, 2):
            children.append(os.fork())
            if children[-1] == 0:
                for turn in range(12):
                    tree(value).write(path, max_shard_size=1 if (turn + value) % 2 else 1000)
                os._exit(0)
        seen = {stored(path) for _ in range(40)}
        assert all(os.waitpid(child, 0)[1] == 0 for child in children)
        print(stored(path), *(name for name in os.listdir(sys.argv[2]) if name.startswith(".")))
        assert seen <= {0, 1, 2}
        """, tmp_path)
    assert out in (["1"], ["2"])


@posix
def test_a_limit_on_files_is_a_full_disk(tmp_path):
    out = drive("""
        path = sys.argv[2] + "/a"
        tree(1).write(path)
        big = gn.train.Checkpoint(v=gn.Variable(np.zeros(100000, "float32")))
        resource.setrlimit(resource.RLIMIT_FSIZE, (50000, 50000))
        try:
            big.write(path)
        except OSError as error:
            print(stored(path), len(os.listdir(sys.argv[2])), error.errno)
        """, tmp_path)
    assert out == ["1", "2", str(errno.EFBIG)]
