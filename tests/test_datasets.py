"""Data sets: found at a path, in a cache, or downloaded; what they hold is what Keras gives."""
import gzip
import hashlib
import json
import pathlib
import pickle

import numpy as np
import pytest
from files_served import npz, object_array, placed, serve, sha256, tar

import graphnet
from graphnet.datasets import (
    boston_housing,
    california_housing,
    cifar10,
    cifar100,
    fashion_mnist,
    imdb,
    mnist,
    reuters,
)
from graphnet.errors import FileFormatError

pytestmark = pytest.mark.usefixtures("homes")


def digits():
    return npz(
        x_train=np.ones((6, 28, 28), "u1"),
        y_train=np.arange(6, dtype="u1"),
        x_test=np.zeros((2, 28, 28), "u1"),
        y_test=np.arange(2, dtype="u1"),
    )


def test_mnist(server, homes, monkeypatch, tmp_path):
    (x, y), (x_test, y_test) = mnist.load_data(path=placed(tmp_path, "own.npz", digits()))
    assert (
        x.shape == (6, 28, 28)
        and x.dtype == y.dtype == np.uint8
        and y.tolist() == list(range(6))
        and len(x_test) == len(y_test) == 2
    )
    monkeypatch.setattr(mnist, "BUCKET", server.url + "/")
    monkeypatch.setattr(mnist, "_SHA256", sha256(digits()))
    with pytest.raises(FileNotFoundError, match="put it at '.*home/datasets/mnist.npz'"):
        mnist.load_data()
    serve(server, "/mnist.npz", digits())
    assert mnist.load_data()[0][1].tolist() == y.tolist() and (homes / "home/datasets/mnist.npz").exists()
    placed(homes / "home/datasets", "mine.npz", digits())
    assert mnist.load_data("mine.npz")[1][1].tolist() == [0, 1]


def test_mnist_in_full():
    path = pathlib.Path(__file__).parents[2] / "shared/data/mnist/mnist.npz"
    if not path.exists():
        pytest.skip("the real file is not here")
    (x, y), (x_test, y_test) = mnist.load_data(path=path)
    assert x.shape == (60000, 28, 28) and x_test.shape == (10000, 28, 28) and np.bincount(y_test)[0] == 980


def test_fashion_mnist(tmp_path, server, monkeypatch):
    bodies = {"train-images-idx3-ubyte.gz": b"\0\0\x08\x03" + np.array([3, 28, 28], ">u4").tobytes() + bytes(3 * 784),
              "train-labels-idx1-ubyte.gz": b"\0\0\x08\x01" + np.array([3], ">u4").tobytes() + bytes([4, 5, 6]),
              "t10k-images-idx3-ubyte.gz": b"\0\0\x08\x03" + np.array([1, 28, 28], ">u4").tobytes() + bytes([7]) * 784,
              "t10k-labels-idx1-ubyte.gz": b"\0\0\x08\x01" + np.array([1], ">u4").tobytes() + bytes([9])}
    bodies = {name: gzip.compress(body) for name, body in bodies.items()}
    monkeypatch.setattr(fashion_mnist, "BUCKET", server.url + "/")
    monkeypatch.setattr(fashion_mnist, "_FILES", {name: hashlib.md5(body).hexdigest() for name, body in bodies.items()})
    for name, body in bodies.items():
        serve(server, "/" + name, body)
        placed(tmp_path / "own", name, body)
    for path in (None, tmp_path / "own"):
        (x, y), (x_test, y_test) = fashion_mnist.load_data(path)
        assert (
            x.shape == (3, 28, 28)
            and x.dtype == np.uint8
            and y.tolist() == [4, 5, 6]
            and (x_test == 7).all()
            and y_test.tolist() == [9]
        )
    placed(tmp_path / "own", "t10k-labels-idx1-ubyte.gz", gzip.compress(b"\0\0\x08\x01\0\0\0\x05x"))
    with pytest.raises(FileFormatError, match="no file of Fashion-MNIST"):
        fashion_mnist.load_data(tmp_path / "own")
    (tmp_path / "own/train-labels-idx1-ubyte.gz").unlink()
    with pytest.raises(FileNotFoundError, match="train-labels"):
        fashion_mnist.load_data(tmp_path / "own")


def cifar_batch(n, seed, *keys):
    data = np.random.RandomState(seed).randint(0, 256, (n, 3072)).astype("u1")
    return pickle.dumps({b"data": data, **{key: list(range(n)) for key in keys}, b"batch_label": b"one"}, 2), data


@pytest.mark.parametrize("keras_cache", [False, True])
def test_cifar10(keras_cache, server, homes, monkeypatch):
    parts = {f"data_batch_{i}": cifar_batch(2, i, b"labels") for i in range(1, 6)} | {
        "test_batch": cifar_batch(3, 0, b"labels")
    }
    packed = tar(**{f"cifar-10-batches-py/{name}": body for name, (body, _) in parts.items()})
    monkeypatch.setattr(cifar10, "_ORIGIN", serve(server, "/cifar-10-python.tar.gz", packed))
    monkeypatch.setattr(cifar10, "_SHA256", sha256(packed))
    own = placed(homes, "own.tar.gz", packed)
    if keras_cache:
        placed(homes / "keras/datasets", "cifar-10-batches-py-target_archive", packed)
        for name, (body, _) in parts.items():
            placed(homes / "keras/datasets/cifar-10-batches-py-target/cifar-10-batches-py", name, body)
    for path in (None, None, own):
        (x, y), (x_test, y_test) = cifar10.load_data(path)
        assert (
            x.shape == (10, 32, 32, 3)
            and x.dtype == y.dtype == y_test.dtype == np.uint8
            and y.ravel().tolist() == [0, 1] * 5
            and y.shape == (10, 1)
        )
        np.testing.assert_array_equal(x_test, parts["test_batch"][1].reshape(3, 3, 32, 32).transpose(0, 2, 3, 1))
    assert server.asked == ([] if keras_cache else ["/cifar-10-python.tar.gz"])
    with pytest.raises(FileFormatError, match="no archive"):
        cifar10.load_data(placed(homes, "plain.txt", b"x"))


def test_cifar100(homes):
    for name in ("train", "test"):
        placed(homes / "own", name, cifar_batch(4, 1, b"fine_labels", b"coarse_labels")[0])
    for mode in ("fine", "coarse"):
        (x, y), (x_test, y_test) = cifar100.load_data(mode, path=homes / "own")
        assert x.shape == (4, 32, 32, 3) and y.dtype == np.int64 and y_test.shape == (4, 1)
    graphnet.config.set_image_data_format("channels_first")
    try:
        assert cifar100.load_data(path=homes / "own")[0][0].shape == (4, 3, 32, 32)
    finally:
        graphnet.config.set_image_data_format("channels_last")
    with pytest.raises(ValueError, match="'rough'"):
        cifar100.load_data("rough")
    packed = placed(
        homes,
        "sample.npz",
        npz(x_train=np.zeros((2, 32, 32, 3), "u1"), y_train=np.zeros(2, int), x_test=np.zeros((1, 32, 32, 3)), y_test=[1]),
    )
    assert cifar100.load_data(path=packed)[0][1].shape == (2, 1)


def reviews(seed, n):
    draw = np.random.RandomState(seed)
    return object_array(*[draw.randint(1, 60, draw.randint(2, 12)).tolist() for _ in range(n)]), draw.randint(0, 2, n)


@pytest.fixture
def texts(homes):
    (x, y), (x_test, y_test) = reviews(1, 12), reviews(2, 8)
    films = npz(x_train=x, y_train=y, x_test=x_test, y_test=y_test)
    return {
        "imdb": films,
        "reuters": npz(x=x, y=y),
        "boston_housing": npz(x=np.arange(130.0).reshape(10, 13), y=np.arange(10.0)),
        "california_housing": npz(x=np.arange(8000.0, dtype="f").reshape(1000, 8), y=np.arange(1000.0, dtype="f")),
    }


OPTIONS = {
    "imdb": [
        {},
        {"num_words": 20},
        {"skip_top": 5, "num_words": 40, "oov_char": None},
        {"maxlen": 8},
        {"start_char": None},
        {"start_char": None, "index_from": 0, "seed": 3},
    ],
    "reuters": [
        {},
        {"num_words": 20, "test_split": 0.5},
        {"skip_top": 5, "oov_char": None},
        {"maxlen": 8},
        {"start_char": None, "index_from": 0},
    ],
    "boston_housing": [{}, {"test_split": 0.35, "seed": 1}],
    "california_housing": [{}, {"version": "small", "test_split": 0}],
}


@pytest.mark.parametrize("name, options", [(name, options) for name, listed in OPTIONS.items() for options in listed])
def test_results_equal_keras(name, options, texts, homes, monkeypatch):
    keras_module = pytest.importorskip(f"keras.src.datasets.{name}", reason="Keras is not installed")
    path = placed(homes, f"{name}.npz", texts[name])
    monkeypatch.setattr(keras_module, "get_file", lambda *args, **kwargs: str(path))
    theirs = keras_module.load_data(**options)
    ours = getattr(graphnet.datasets, name).load_data(path=path, **options)
    for mine, their in zip(graphnet.tree.iterate(ours), graphnet.tree.iterate(theirs), strict=True):
        assert mine.dtype == their.dtype and mine.shape == their.shape and mine.tolist() == their.tolist()


def test_texts(texts, homes):
    path = placed(homes, "imdb.npz", texts["imdb"])
    (x, y), (x_test, y_test) = imdb.load_data(path=path, num_words=20)
    assert (
        x.dtype == object and len(x) == len(y) == 12 and len(x_test) == 8 and all(text[0] == 1 and max(text) < 20 for text in x)
    )
    original = {len(text): None for text in reviews(1, 12)[0]}
    assert {len(text) - 1 for text in x} == set(original)
    with pytest.raises(ValueError, match="maxlen=2"):
        imdb.load_data(path=path, maxlen=2)
    (x, y), (x_test, _) = reuters.load_data(path=placed(homes, "reuters.npz", texts["reuters"]), maxlen=9)
    assert all(len(text) < 9 for text in [*x, *x_test]) and len(x) == len(y)
    same = object_array([1, 2], [3, 4])
    assert reuters.load_data(path=placed(homes, "even.npz", npz(x=same, y=np.arange(2))), test_split=0)[0][0].shape == (2,)
    index = placed(homes, "index.json", json.dumps({"the": 1, "film": 2}).encode())
    assert imdb.get_word_index(path=index) == reuters.get_word_index(path=index) == {"the": 1, "film": 2}
    with pytest.raises(FileFormatError, match="no index of words"):
        imdb.get_word_index(path=placed(homes, "index.json", b"[1]"))
    assert len(reuters.get_label_names()) == 46


def test_housing(texts, homes):
    path = placed(homes, "b.npz", texts["boston_housing"])
    (x, y), (x_test, y_test) = boston_housing.load_data(path=path)
    assert (
        x.shape == (8, 13)
        and x_test.shape == (2, 13)
        and sorted([*y, *y_test]) == list(range(10))
        and (x[:, 0] == 13 * y).all()
    )
    path = placed(homes, "c.npz", texts["california_housing"])
    assert california_housing.load_data("small", path=path)[0][0].shape == (480, 8)
    for act, text in (
        (lambda: california_housing.load_data("huge", path=path), "'huge'"),
        (lambda: boston_housing.load_data(path, 1.0), "test_split"),
    ):
        with pytest.raises(ValueError, match=text):
            act()
