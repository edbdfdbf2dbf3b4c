"""Loading is data in, never code: hostile files are refused by one clear error, in bounded memory and time, and nothing changes.

A process of its own reads them all, with a limit on its memory, and with Python's audit hook, which is told of each file that is opened,
each program that is started and each piece of code that is run or imported.
"""
import contextlib
import gzip
import io
import json
import os
import pathlib
import resource
import signal
import subprocess
import sys
import tarfile
import time
import zipfile

import pytest
from hostile_folders import CASES, saved, small, write_all

from graphnet import ops
from graphnet.errors import FileFormatError
from graphnet.saving.limits import limited
from graphnet.utils.archives import unpack

MEMORY = 256 << 20  # bytes that reading a file may add to the process
SECONDS = 10  # that it may take


def read(path, model):
    """Reads a file by all functions that take it."""
    import graphnet
    said = []

    def attempt(function, argument):
        try:
            function(argument)
            said.append(["", ""])
        except Exception as error:
            said.append([type(error).__name__, str(error)])
    if path.name.endswith(".json"):
        attempt(graphnet.models.model_from_json, path.read_text())
    elif path.name.endswith(".weights.h5"):
        attempt(model.load_weights, path)
    elif path.suffix == ".checkpoint":
        attempt(graphnet.train.Checkpoint(v0=graphnet.Variable(1.0)).restore, path / "x")
    elif path.suffix == ".model":
        attempt(graphnet.saved_model.load, path)
        attempt(graphnet.saving.load_model, path)
    else:
        attempt(lambda file: graphnet.saving.load_model(file, safe_mode=False), path)
        attempt(graphnet.saving.load_model, path)
    return said


def belongs(act, path):
    """Whether an act is that a file is opened, or a part of a folder; a descriptor is of a file that was opened before."""
    event, argument = act
    inside = path.is_dir() and (argument.isdecimal() or path in pathlib.Path(os.path.realpath(argument)).parents)
    return event == "open" and (argument == str(path) or inside)


class Late(BaseException):
    """A file took too long."""


def late(*_):
    raise Late


def serve(folder):
    """Reads all files of a folder, and prints of each what was said and what was done."""
    import graphnet
    model = small()
    model.save(folder / "good.keras")
    model.save(folder / "good.h5")
    graphnet.saving.load_model(folder / "good.keras")
    graphnet.saving.load_model(folder / "good.h5")
    inputs = graphnet.Input((5, 3))
    graphnet.models.model_from_json(graphnet.Model(inputs, graphnet.layers.MultiHeadAttention(2, 2)(inputs, inputs)).to_json())
    model.compile("adam", "mse")
    saved(folder / "good.model", lambda body: None)
    read(folder / "good.model", model)
    graphnet.train.Checkpoint(v0=graphnet.Variable(1.0)).write(folder / "good")
    graphnet.train.Checkpoint(v0=graphnet.Variable(1.0)).restore(folder / "good")
    for name in ("bad.keras", "bad.h5"):
        (folder / name).write_text("bad")
        read(folder / name, model)
    before = [value.tobytes() for value in model.get_weights()]
    done = []

    def watch(event, arguments):
        if event in ("exec", "compile", "marshal.loads", "pickle.find_class", "os.system", "os.exec", "os.posix_spawn", "subprocess.Popen",
                     "socket.connect", "socket.getaddrinfo", "urllib.Request", "ctypes.dlopen", "os.remove", "os.rename", "os.mkdir", "os.chmod",
                     "os.symlink", "os.link", "shutil.copyfile", "import", "open", "os.listdir"):
            done.append([event, str(arguments[0])])
    sys.addaudithook(watch)
    for name in CASES:
        path = folder / name.split(".")[0] / name
        there = sorted(os.listdir(path.parent))
        used = int(pathlib.Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (used + MEMORY, resource.RLIM_INFINITY))
        signal.signal(signal.SIGALRM, late)
        signal.alarm(SECONDS)
        done.clear()
        begun = time.perf_counter()
        said = read(path, model)
        seconds = time.perf_counter() - begun
        acts = [act for act in done if not belongs(act, path) and act[0] + act[1][:9] != "compileb'def foo"]  # so inspect reads signatures
        signal.alarm(0)
        resource.setrlimit(resource.RLIMIT_AS, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        same = before == [value.tobytes() for value in model.get_weights()] and there == sorted(os.listdir(path.parent))
        print(json.dumps({"name": name, "said": said, "acts": acts, "same": same, "seconds": seconds}), flush=True)


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory):
    folder = tmp_path_factory.mktemp("hostile")
    write_all(folder)
    run = subprocess.run([sys.executable, __file__, str(folder)], capture_output=True, text=True, timeout=300, check=False,
                         env={**os.environ, "PYTHONPATH": os.pathsep.join(p for p in sys.path if p)})
    assert run.returncode == 0, run.stdout[-500:] + run.stderr[-3000:]
    return {found["name"]: found for found in map(json.loads, run.stdout.splitlines())}


@pytest.mark.parametrize("name", CASES)
def test_hostile_files(outcomes, name):
    found = outcomes[name]
    assert found["acts"] == [] and found["same"] and found["seconds"] < SECONDS, found
    for kind, text in found["said"]:
        assert kind in ("FileFormatError", "UnsupportedError"), found
        assert 20 < len(text) < 1500, found
        assert "more memory than" not in text and "MemoryError" not in text, found  # refused by what it asks for, before the limit is met


def tar(path, kind, data, what=tarfile.REGTYPE):
    with tarfile.open(path, f"w:{kind}", format=tarfile.GNU_FORMAT) as file:
        info = tarfile.TarInfo("data")
        info.size, info.type = len(data), what
        file.addfile(info, io.BytesIO(data))


@pytest.mark.parametrize("kind", ["gz", "bz2", "xz", "zip"])
def test_archives_that_fill_the_disk(tmp_path, kind):
    """And damaged ones. What leads outside of the folder (CVE-2025-12060, hard links in tar files) is in `test_datasets`."""
    path, data = tmp_path / "packed", bytes(100 << 20)
    if kind == "zip":
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
            file.writestr("data", data)
    else:
        tar(path, kind, data)
    with pytest.raises(FileFormatError, match="claims 104857600 bytes.*fill the memory"):
        unpack(path, tmp_path / "folder")
    tar(path, "gz", os.urandom(1 << 16))
    path.write_bytes(path.read_bytes()[:-5000])
    with pytest.raises(FileFormatError, match="damaged"):
        unpack(path, tmp_path / "folder")
    assert os.listdir(tmp_path) == ["packed"]


@pytest.mark.parametrize("what", [tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK, tarfile.XHDTYPE, tarfile.XGLTYPE])
def test_archives_whose_headers_fill_the_memory(tmp_path, what):
    path = tmp_path / "packed"
    tar(path, "gz", bytes(100 << 20), what)
    with pytest.raises(FileFormatError, match="a header claims 104857600 bytes.*fill the memory"):
        unpack(path, tmp_path / "folder")
    assert os.listdir(tmp_path) == ["packed"]


def test_archives_of_members_without_end(tmp_path):
    """They hold nothing, but each has a header."""
    path = tmp_path / "packed"
    header = tarfile.TarInfo("data").tobuf()
    with gzip.open(path, "wb") as file:
        for _ in range(1 << 6):
            file.write(header * (1 << 12))
    with pytest.raises(FileFormatError, match="a header claims 512 bytes.*fill the memory"):
        unpack(path, tmp_path / "folder")
    assert os.listdir(tmp_path) == ["packed"]


def test_archives_of_members_of_negative_length(tmp_path):
    """They would give back what other members took. Newer Pythons take such a file for no archive."""
    path = tmp_path / "packed"
    header = bytearray(tarfile.TarInfo("data").tobuf(tarfile.GNU_FORMAT))
    header[124:136] = tarfile.itn(-1024, 12, tarfile.GNU_FORMAT)
    header[148:156] = b"%06o\0 " % tarfile.calc_chksums(header)[0]
    path.write_bytes(header + bytes(4096))
    with contextlib.suppress(FileFormatError):
        assert not unpack(path, tmp_path / "folder")
    assert os.listdir(tmp_path) == ["packed"]


if __name__ == "__main__":
    serve(pathlib.Path(sys.argv[1]))


def test_constants_of_a_small_file_may_be_masks_of_long_sequences():
    with limited("small.keras", 100):
        assert ops.zeros((5000, 5000)).shape == (5000, 5000)
        with pytest.raises(FileFormatError, match="a constant.*fill the memory"):
            ops.zeros((1 << 15, 1 << 14))
