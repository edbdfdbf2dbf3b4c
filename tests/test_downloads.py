"""Files of data: downloaded once, checked, unpacked where they belong, and read as data, never as code."""
import hashlib
import io
import os
import pathlib
import pickle
import tarfile
import zipfile

import numpy as np
import pytest
from files_served import npz, object_array, placed, serve, sha256, tar

import graphnet
from graphnet.datasets import cifar100, mnist, reuters, sources
from graphnet.errors import FileFormatError
from graphnet.utils.archives import unpack

pytestmark = pytest.mark.usefixtures("homes")


# ---- get_file


def test_a_download_is_kept_and_not_repeated(server, homes, capsys):
    url = serve(server, "/a/data.bin", b"x" * 700_000)
    path = graphnet.utils.get_file(origin=url, file_hash=sha256(b"x" * 700_000))
    assert path == str(homes / "home/datasets/data.bin") and len(pathlib.Path(path).read_bytes()) == 700_000
    assert "700000/700000" in capsys.readouterr().out
    assert graphnet.utils.get_file(origin=url) == path and len(server.asked) == 1
    assert graphnet.utils.get_file(origin=url, force_download=True) == path and len(server.asked) == 2
    assert os.listdir(homes / "home/datasets") == ["data.bin"]


def test_places_are_looked_through_in_order(server, homes):
    url = serve(server, "/data.bin", b"net")
    placed(homes / "keras/datasets", "data.bin", b"keras")
    assert graphnet.utils.get_file(origin=url) == str(homes / "keras/datasets/data.bin")
    placed(homes / "home/datasets", "data.bin", b"home")
    assert graphnet.utils.get_file(origin=url) == str(homes / "home/datasets/data.bin")
    assert graphnet.utils.get_file(origin=url, file_hash=hashlib.md5(b"keras").hexdigest()) == str(
        homes / "keras/datasets/data.bin"
    )
    found = graphnet.utils.get_file(
        "other.bin", url, cache_dir=str(homes / "third"), cache_subdir="sub", md5_hash=hashlib.md5(b"net").hexdigest()
    )
    assert found == str(homes / "third/sub/other.bin") and server.asked == ["/data.bin"]


def test_a_file_with_another_sum_is_downloaded_anew(server, homes, capsys):
    url = serve(server, "/data.bin", b"right")
    placed(homes / "home/datasets", "data.bin", b"wrong")
    path = graphnet.utils.get_file(origin=url, file_hash=sha256(b"right"))
    assert pathlib.Path(path).read_bytes() == b"right" and "is not the file that is meant" in capsys.readouterr().out


def test_a_wrong_sum_keeps_nothing(server, homes):
    url = serve(server, "/data.bin", b"changed")
    with pytest.raises(FileFormatError, match="not the one that is meant.*nothing was kept"):
        graphnet.utils.get_file(origin=url, file_hash=sha256(b"right"))
    assert os.listdir(homes / "home/datasets") == []


def test_a_download_that_breaks_off_keeps_nothing(server, homes):
    server.table["/data.bin"] = b"x" * 1000, 5000
    with pytest.raises(FileNotFoundError, match="1000 of 5000 bytes"):
        graphnet.utils.get_file(origin=server.url + "/data.bin")
    assert os.listdir(homes / "home/datasets") == []
    server.table["/data.bin"] = b"x" * 1000, None
    assert os.path.getsize(graphnet.utils.get_file(origin=server.url + "/data.bin")) == 1000


def test_what_cannot_be_had_is_named_with_its_place(server, homes):
    with pytest.raises(FileNotFoundError, match=r"answers 404.*put it at '\S*home/datasets/data.bin'"):
        graphnet.utils.get_file(origin=server.url + "/data.bin")
    with pytest.raises(FileNotFoundError, match=r"(?i)refused.*put it at"):
        graphnet.utils.get_file(origin="http://127.0.0.1:9/data.bin")
    file = placed(homes, "file", b"it stands where the folder is to be")
    with pytest.raises(FileNotFoundError, match="Set GRAPHNET_HOME"):
        graphnet.utils.get_file(origin=server.url + "/data.bin", cache_dir=file)


@pytest.mark.parametrize(
    "options, text",
    [
        ({}, "expects origin"),
        ({"origin": "http://h/"}, "fname to be a name"),
        ({"fname": "a/b", "origin": "http://h/b"}, "'a/b'"),
        ({"fname": "..", "origin": "http://h/b"}, "fname"),
        ({"origin": "http://h/b", "hash_algorithm": "crc", "file_hash": "1"}, "'crc'"),
    ],
)
def test_wrong_arguments_of_get_file(options, text):
    with pytest.raises(ValueError, match=text):
        graphnet.utils.get_file(**options)


# ---- archives


def zipped(**members):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for name, content in members.items():
            info = zipfile.ZipInfo(name)
            if not isinstance(content, bytes):
                info.external_attr = 0o120777 << 16
                content = content[1].encode()
            archive.writestr(info, content)
    return file.getvalue()


@pytest.mark.parametrize("make", [tar, zipped])
def test_archives_are_unpacked_once(make, server, homes):
    url = serve(server, "/pack.bin", make(**{"inner/a.txt": b"a", "b.txt": b"b"}))
    folder = pathlib.Path(graphnet.utils.get_file(origin=url, extract=True))
    assert folder == homes / "home/datasets/pack.bin" and (folder / "inner/a.txt").read_bytes() == b"a"
    (folder / "b.txt").write_bytes(b"changed")
    assert (
        pathlib.Path(graphnet.utils.get_file(origin=url, extract=True), "b.txt").read_bytes() == b"changed"
        and len(server.asked) == 1
    )
    graphnet.utils.get_file(origin=url, extract=True, force_download=True)
    assert (folder / "b.txt").read_bytes() == b"b"
    assert graphnet.utils.get_file("named.bin", url, extract=True).endswith("named_extracted")
    assert graphnet.utils.get_file("named", url, extract=True).endswith("datasets/named")
    assert sorted(os.listdir(homes / "home/datasets")) == [
        "named",
        "named.bin",
        "named_archive",
        "named_extracted",
        "pack.bin",
        "pack.bin_archive",
    ]


@pytest.mark.parametrize(
    "make, name, content",
    [
        (tar, "../out.txt", b"x"),
        (tar, "/out.txt", b"x"),
        (tar, "a/../../out.txt", b"x"),
        (zipped, "../out.txt", b"x"),
        (zipped, "C:/out.txt", b"x"),
        (zipped, "..\\out.txt", b"x"),
        (tar, "link", (tarfile.SYMTYPE, "/etc/passwd")),
        (tar, "link", (tarfile.LNKTYPE, "good.txt")),
        (tar, "pipe", (tarfile.FIFOTYPE, "")),
        (zipped, "link", (0, "/etc/passwd")),
    ],
)
def test_members_that_lead_outside_are_refused(make, name, content, tmp_path):
    packed = placed(tmp_path, "packed", make(**{"good.txt": b"good", name: content}))
    with pytest.raises(FileFormatError, match="Nothing was written"):
        unpack(packed, tmp_path / "deep/folder")
    assert not any((tmp_path / "deep").iterdir()) and not (tmp_path / "out.txt").exists()


def test_what_is_no_archive(server, homes):
    url = serve(server, "/plain.txt", b"plain")
    with pytest.warns(UserWarning, match="no archive"):
        graphnet.utils.get_file(origin=url, extract=True)
    with pytest.raises(ValueError, match="'rar'"):
        unpack(homes, homes, "rar")


# ---- files are data


class Evil:
    def __reduce__(self):
        return os.system, ("echo harm",)


def test_code_in_a_file_is_not_run(tmp_path, capfd):
    path = placed(tmp_path, "evil.npz", npz(x=object_array(Evil(), [1]), y=np.arange(2)))
    with pytest.raises(FileFormatError, match="system, which is code"):
        reuters.load_data(path=path)
    folder = tmp_path / "cifar"
    placed(folder, "train", pickle.dumps(Evil()))
    with pytest.raises(FileFormatError, match="which is code"):
        cifar100.load_data(path=folder)
    assert capfd.readouterr().out == ""


@pytest.mark.parametrize(
    "stream",
    [
        b"cnumpy\nndarray\n((I1000000000\ntR.",
        b"cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\n(I9\ntS'b'\ntR.",
        b"",
        b"\x80\x04garbage",
        b"cbuiltins\neval\n(S'1'\ntR.",
        b"cnumpy\nload\n.",
    ],
)
def test_streams_made_to_harm_are_refused(stream):
    with pytest.raises(FileFormatError, match="cannot be read as plain data"):
        sources.unpickle(io.BytesIO(stream), "file")


@pytest.mark.parametrize("protocol", [0, 1, 2, 3, 4])
def test_arrays_lists_and_numbers_are_read(protocol):
    for value in (
        [1, -2, 2**40],
        np.arange(6.0).reshape(2, 3),
        object_array([1], [2, 3]),
        {b"data": np.zeros(2, "u1"), b"n": [0.5, None]},
    ):
        found = sources.unpickle(io.BytesIO(pickle.dumps(value, protocol)), "file", "bytes")
        assert type(found) is type(value) and str(found) == str(value)


def test_damaged_files_are_named(tmp_path):
    for data, text in (
        (b"no zip", "no .npz"),
        (npz(x=np.zeros(2)), r"holds no 'x_train', only \['x'\]"),
        (npz(x_train=np.zeros(2))[:-30], "npz"),
    ):
        with pytest.raises(FileFormatError, match=text):
            mnist.load_data(path=placed(tmp_path, "bad.npz", data))
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for name in ("x_train", "y_train", "x_test", "y_test"):
            archive.writestr(f"{name}.npy", b"\x93NUMPY")
    with pytest.raises(FileFormatError, match="damaged"):
        mnist.load_data(path=placed(tmp_path, "bad.npz", file.getvalue()))
    with pytest.raises(FileNotFoundError, match="no such file.*GRAPHNET_HOME"):
        mnist.load_data(path=tmp_path / "absent.npz")
