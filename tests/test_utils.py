"""Small helpers: labels, padding, splitting, windows over series, pictures, folders of files; beside Keras's own ones."""
import io
import os

import numpy as np
import pytest

import graphnet
from graphnet import utils
from graphnet.errors import DataError, OutOfRangeError, UnsupportedError


def keras_utils():
    return pytest.importorskip("keras", reason="Keras is not installed").utils


def same(mine, theirs):
    assert mine.dtype == theirs.dtype and mine.shape == theirs.shape
    np.testing.assert_array_equal(mine, theirs)


# ---- labels, norms, padding


LABELS = [[0, 2, 1], [[1], [0]], [[0, 1], [2, 0]], 3, np.array([1.0, 2.0]), [[[1]], [[0]]]]


@pytest.mark.parametrize("x", LABELS)
@pytest.mark.parametrize("classes", [None, 4])
def test_one_hot(x, classes):
    found = utils.to_categorical(x, classes)
    assert found.dtype == np.float64 and found.shape[-1] == (classes or np.max(x) + 1) and (found.sum(-1) == 1).all()
    np.testing.assert_array_equal(found.argmax(-1).ravel(), np.ravel(x))


@pytest.mark.parametrize("x", LABELS)
def test_one_hot_equals_keras(x):
    same(utils.to_categorical(x), keras_utils().to_categorical(x))


def test_one_hot_of_a_tensor_and_of_wrong_labels():
    x = graphnet.Input((1,), dtype="int32")
    model = graphnet.Model(x, utils.to_categorical(x, 3))
    np.testing.assert_array_equal(model(np.array([[2], [0]], "int32")), [[0, 0, 1], [1, 0, 0]])
    for x, classes in (([0, 3], 3), ([-1, 1], None)):
        with pytest.raises(OutOfRangeError, match="class numbers from 0 to"):
            utils.to_categorical(x, classes)
    with pytest.raises(ValueError, match="num_classes"):
        utils.to_categorical([])


@pytest.mark.parametrize("axis, order", [(-1, 2), (0, 1), (1, np.inf), (0, 2)])
def test_normalize(axis, order):
    x = np.array([[3.0, -4.0, 0.0], [0.0, 0.0, 0.0], [1.0, 2.0, 2.0]])
    found = utils.normalize(x, axis, order)
    norms = np.linalg.norm(found, order, axis)
    np.testing.assert_allclose(norms[np.linalg.norm(x, order, axis) > 0], 1)
    assert not np.isnan(found).any()
    theirs = keras_utils().normalize(x, axis, order)
    if axis != 0:  # Keras takes axis 0 for its default, the last
        np.testing.assert_array_equal(found, theirs)


PADDINGS = [
    {},
    {"maxlen": 2},
    {"maxlen": 5},
    {"padding": "post"},
    {"maxlen": 2, "truncating": "post"},
    {"value": -1, "dtype": "float32"},
    {"padding": "post", "maxlen": 2, "dtype": "int64"},
]


@pytest.mark.parametrize("options", PADDINGS)
@pytest.mark.parametrize("sequences", [[[1], [2, 3], [4, 5, 6]], [[], [1, 2]], [[[1, 2]], [[3, 4], [5, 6], [7, 8]]]])
def test_padding_equals_keras(sequences, options):
    same(utils.pad_sequences(sequences, **options), keras_utils().pad_sequences(sequences, **options))


def test_padding():
    assert utils.pad_sequences([[1], [2, 3], [4, 5, 6]]).tolist() == [[0, 0, 1], [0, 2, 3], [4, 5, 6]]
    assert utils.pad_sequences([[1], [2, 3, 4]], 2, padding="post", truncating="post").tolist() == [[1, 0], [2, 3]]
    assert utils.pad_sequences([["a"], ["b", "c"]], dtype=object, value="").tolist() == [["", "a"], ["b", "c"]]
    assert utils.pad_sequences([[1, 2]], maxlen=0).shape == (1, 0) and utils.pad_sequences([]).shape == (0, 0)


@pytest.mark.parametrize(
    "sequences, options, text",
    [
        ([1, 2], {}, "list of lists"),
        (3, {}, "list of lists"),
        ([[1]], {"padding": "mid"}, "'mid'"),
        ([[1]], {"value": "x"}, "dtype=object"),
        ([[[1, 2]], [[1]]], {}, "position 1"),
    ],
)
def test_what_cannot_be_padded(sequences, options, text):
    with pytest.raises(ValueError, match=text):
        utils.pad_sequences(sequences, **options)


# ---- splitting


def test_data_are_split_by_rows():
    x, y = np.arange(20).reshape(10, 2), np.arange(10)
    left, right = utils.split_dataset(x, left_size=0.75)
    assert len(left) == 8 and len(right) == 2 and np.shares_memory(left, x)
    (a, b), (c, d) = utils.split_dataset((x, y), right_size=3)
    assert b.tolist() == list(range(7)) and d.tolist() == [7, 8, 9] and (c[:, 0] == 2 * d).all() and len(a) == 7
    left, right = utils.split_dataset({"x": x, "y": y}, left_size=4, right_size=0.5, shuffle=True, seed=3)
    assert (
        len(left["y"]) == 4
        and len(right["y"]) == 5
        and not set(left["y"]) & set(right["y"])
        and (left["x"][:, 0] == 2 * left["y"]).all()
    )
    assert utils.split_dataset(y, 5, shuffle=True, seed=3)[0].tolist()[:4] == left["y"].tolist()


@pytest.mark.parametrize(
    "options, error",
    [
        ({}, "received neither"),
        ({"left_size": 0}, "left_size to be between"),
        ({"left_size": 10}, "below the 10"),
        ({"right_size": 1.5}, "right_size"),
        ({"left_size": "a"}, "'a'"),
        ({"left_size": 0.6, "right_size": 0.6}, "two parts"),
        ({"left_size": 0.01}, "mean 0 and 10"),
    ],
)
def test_sizes_that_do_not_fit(options, error):
    with pytest.raises((ValueError, TypeError), match=error):
        utils.split_dataset(np.arange(10), **options)


def test_what_cannot_be_split():
    with pytest.raises(TypeError, match="generator"):
        utils.split_dataset((i for i in range(3)), 0.5)
    with pytest.raises(DataError, match="number of rows"):
        utils.split_dataset((np.arange(3), np.arange(4)), 0.5)


# ---- series


@pytest.mark.parametrize("options", [{}, {"sequence_stride": 3}, {"sampling_rate": 2}, {"start_index": 5, "end_index": 30},
                                     {"sequence_stride": 2, "sampling_rate": 3, "start_index": 4}, {"batch_size": None}])
@pytest.mark.parametrize("width", [(), (2,)])
def test_windows_over_a_series(options, width):
    data = np.arange(40 * int(np.prod(width))).reshape(40, *width)
    targets = np.arange(40) * 10
    windows = utils.timeseries_dataset_from_array(data, targets, 4, **{"batch_size": 7, **options})
    found = [(x, y) if windows.batch_size is None else pair for pair in windows for x, y in [pair]]
    rate, stride = options.get("sampling_rate", 1), options.get("sequence_stride", 1)
    first, end = options.get("start_index", 0), options.get("end_index", 40)
    due = [p for p in range(first, end, stride) if p + 3 * rate < end]
    xs = np.stack([x for x, _ in found]) if windows.batch_size is None else np.concatenate([x for x, _ in found])
    np.testing.assert_array_equal(xs, np.stack([data[p:p + 4 * rate:rate][:4] for p in due]))
    np.testing.assert_array_equal(np.hstack([y for _, y in found]), [10 * p for p in due])


def test_windows_are_shuffled_anew_for_each_epoch():
    make = [utils.timeseries_dataset_from_array(np.arange(30), None, 3, batch_size=4, shuffle=True, seed=5) for _ in range(2)]
    epochs = [[np.concatenate(list(windows)).tolist() for _ in range(2)] for windows in make]
    assert epochs[0] == epochs[1] and epochs[0][0] != epochs[0][1] and sorted(epochs[0][0]) == sorted(epochs[0][1])
    with pytest.raises(IndexError, match="7 batches"):
        make[0][7]


def test_a_model_takes_windows():
    windows = utils.timeseries_dataset_from_array(np.arange(20.0), None, 4, batch_size=5)
    x = graphnet.Input((4,))
    assert graphnet.Model(x, graphnet.ops.sum(x, axis=1)).predict(windows, verbose=0)[:2].tolist() == [6, 10]


@pytest.mark.parametrize(
    "options, text",
    [
        ({"start_index": 10}, "start_index from 0 to 9"),
        ({"start_index": 4, "end_index": 4}, "end_index from 5"),
        ({"end_index": 10}, "end_index"),
        ({"sampling_rate": 0}, "sampling_rate from 1"),
        ({"sequence_stride": 10}, "sequence_stride"),
        ({"sampling_rate": 9}, "enough steps"),
        ({"format": "tf"}, "Leave it out"),
        ({"batch_size": 0}, "batch_size"),
        ({"targets": np.zeros(0)}, "0 targets"),
    ],
)
def test_windows_that_do_not_fit(options, text):
    with pytest.raises(ValueError, match=text):
        utils.timeseries_dataset_from_array(np.arange(10), **{"targets": None, "sequence_length": 3, **options})


# ---- pictures


pillow = pytest.importorskip("PIL.Image", reason="Pillow is not installed")


def picture(height=5, width=7, channels=3):
    return np.random.RandomState(channels).randint(0, 256, (height, width, channels)).astype("uint8")


@pytest.mark.parametrize("channels", [1, 3, 4])
@pytest.mark.parametrize("layout", ["channels_last", "channels_first"])
def test_pictures_there_and_back(channels, layout, tmp_path):
    x = picture(channels=channels)
    given = x.transpose(2, 0, 1) if layout == "channels_first" else x
    image = utils.array_to_img(given, layout, scale=False)
    np.testing.assert_array_equal(utils.img_to_array(image, layout), given)
    assert utils.img_to_array(image).dtype == np.float32 and utils.img_to_array(image, dtype="uint8").dtype == np.uint8
    utils.save_img(tmp_path / "a.png", given, layout, scale=False)
    mode = {1: "grayscale", 3: "rgb", 4: "rgba"}[channels]
    np.testing.assert_array_equal(utils.img_to_array(utils.load_img(tmp_path / "a.png", mode), layout), given)
    scaled = utils.img_to_array(utils.array_to_img(given.astype("float64") * 3 - 7, layout), layout)
    assert scaled.min() == 0 and scaled.max() == 255


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"target_size": (3, 4)},
        {"target_size": (6, 2), "interpolation": "bilinear"},
        {"color_mode": "grayscale"},
        {"target_size": (4, 9), "keep_aspect_ratio": True, "interpolation": "lanczos"},
        {"color_mode": "rgba", "target_size": (9, 4), "keep_aspect_ratio": True},
    ],
)
def test_loading_equals_keras(options, tmp_path):
    theirs = keras_utils()
    utils.save_img(str(tmp_path / "a.png"), picture(), scale=False)
    mine, due = utils.load_img(tmp_path / "a.png", **options), theirs.load_img(tmp_path / "a.png", **options)
    assert mine.mode == due.mode
    same(utils.img_to_array(mine), theirs.img_to_array(due))
    assert mine.tobytes() == due.tobytes()


@pytest.mark.parametrize(
    "x", [picture().astype("float64"), picture(channels=1) * 1.5, np.zeros((2, 2, 3)), np.full((2, 2, 1), 300.0)]
)
@pytest.mark.parametrize("scale", [True, False])
def test_making_pictures_equals_keras(x, scale):
    mine, due = utils.array_to_img(x, scale=scale), keras_utils().array_to_img(x, scale=scale)
    assert mine.mode == due.mode and np.abs(np.asarray(mine, int) - np.asarray(due, int)).max() <= 1


def test_deep_grey_and_jpeg(tmp_path):
    deep = np.full((2, 2, 1), 300.0)
    assert utils.array_to_img(deep, scale=False).mode == "I" and np.asarray(utils.array_to_img(deep, scale=False)).max() == 300
    with pytest.warns(UserWarning, match="no transparency"):
        utils.save_img(tmp_path / "a.jpg", picture(channels=4))
    assert utils.load_img(io.BytesIO((tmp_path / "a.jpg").read_bytes())).size == (7, 5)


@pytest.mark.parametrize(
    "act, error, text",
    [
        (lambda f: utils.load_img(f / "text.png"), DataError, "no picture"),
        (lambda f: utils.load_img(f / "none.png"), FileNotFoundError, "none.png"),
        (lambda f: utils.load_img(3), TypeError, "received 3"),
        (lambda f: utils.load_img(f / "a.png", "cmyk"), ValueError, "'cmyk'"),
        (lambda f: utils.load_img(f / "a.png", target_size=(2, 2), interpolation="magic"), ValueError, "'magic'"),
        (lambda f: utils.array_to_img(np.zeros((2, 2))), ValueError, "3 axes"),
        (lambda f: utils.array_to_img(np.zeros((2, 2, 2))), ValueError, "1, 3 or 4"),
        (lambda f: utils.img_to_array(np.zeros(3)), ValueError, "2 or 3 axes"),
    ],
)
def test_what_is_no_picture(act, error, text, tmp_path):
    (tmp_path / "text.png").write_text("no picture")
    utils.save_img(tmp_path / "a.png", picture())
    with pytest.raises(error, match=text):
        act(tmp_path)


# ---- folders


@pytest.fixture
def folder(tmp_path):
    """Twelve files in two classes and a deeper folder: a picture and a text each, told apart by a corner and a word."""
    for i in range(12):
        place = tmp_path / "data" / ("birds" if i % 3 else "apes") / ("deep" if i == 5 else ".")
        place.mkdir(parents=True, exist_ok=True)
        utils.save_img(place / f"{i:02d}.png", np.full((4, 6, 3), 10.0 * i), scale=False)
        (place / f"{i:02d}.txt").write_text(f"word {i}", "utf-8")
    (tmp_path / "data/.hidden").mkdir()
    (tmp_path / "data/readme.md").write_text("nothing")
    return tmp_path / "data"


def number(x):
    return int(x.reshape(-1)[0] if x.dtype != object else x.split()[1])


@pytest.mark.parametrize(
    "make, options", [(utils.image_dataset_from_directory, {"image_size": (2, 3)}), (utils.text_dataset_from_directory, {})]
)
def test_folders_are_classes(make, options, folder, capsys):
    data = make(folder, shuffle=False, batch_size=5, **options)
    assert "Found 12 files belonging to 2 classes." in capsys.readouterr().out
    assert data.class_names == ["apes", "birds"] and len(data) == 3 and len(data.file_paths) == 12
    x, y = (np.concatenate(parts) for parts in zip(*data, strict=True))
    assert y.dtype == np.int32 and y.tolist() == [0] * 4 + [1] * 8
    values = [int(text.split()[1]) for text in x] if x.dtype == object else (x[:, 0, 0, 0] / 10).astype(int).tolist()
    assert values == [0, 3, 6, 9, 1, 2, 4, 7, 8, 10, 11, 5]
    assert x.dtype == object or (x.shape == (12, 2, 3, 3) and x.dtype == np.float32)
    for mode, shape in (("binary", (12, 1)), ("categorical", (12, 2))):
        y = np.concatenate([y for _, y in make(folder, shuffle=False, label_mode=mode, verbose=False, **options)])
        assert y.shape == shape and y.dtype == np.float32
    assert not isinstance(make(folder, labels=None, verbose=False, **options)[0], tuple)
    assert (
        make(folder, class_names=["birds", "apes"], shuffle=False, verbose=False, **options)[0][1].tolist() == [0] * 8 + [1] * 4
    )
    assert make(folder, labels=list(range(12)), shuffle=False, verbose=False, **options)[0][1].tolist() == list(range(12))
    single = make(folder, batch_size=None, shuffle=False, verbose=False, **options)
    assert len(single) == 12 and np.ndim(single[4][0]) == (0 if x.dtype == object else 3) and single[4][1] == 1


def test_files_and_labels_equal_keras(folder):
    index = pytest.importorskip("keras.src.utils.dataset_utils", reason="Keras is not installed").index_directory
    for given in ("inferred", None, range(12)):
        for shuffle in (False, True):
            labels = list(given) if isinstance(given, range) else given
            paths, numbers, names = index(str(folder), labels, (".png",), shuffle=shuffle, seed=7, verbose=False)
            labels = list(given) if isinstance(given, range) else given  # Keras shuffles the user's own list
            mine = utils.image_dataset_from_directory(folder, labels, shuffle=shuffle, seed=7, verbose=False)
            assert [os.path.normpath(p) for p in mine.file_paths] == [
                os.path.normpath(p) for p in paths
            ] and mine.class_names == names
            assert mine.labels is None if labels is None else mine.labels.tolist() == list(numbers)


def test_folders_are_split(folder):
    options = {"validation_split": 0.25, "seed": 1, "image_size": (2, 2), "verbose": False}
    train = utils.image_dataset_from_directory(folder, subset="training", **options)
    held = utils.image_dataset_from_directory(folder, subset="validation", **options)
    assert len(train.file_paths) == 9 and len(held.file_paths) == 3 and not set(train.file_paths) & set(held.file_paths)
    both = utils.image_dataset_from_directory(folder, subset="both", **options)
    assert [part.file_paths for part in both] == [train.file_paths, held.file_paths] and not both[1].shuffle


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"crop_to_aspect_ratio": True},
        {"pad_to_aspect_ratio": True},
        {"interpolation": "nearest"},
        {"data_format": "channels_first"},
        {"color_mode": "grayscale"},
    ],
)
def test_pictures_are_brought_to_size_as_by_the_op(options, folder):
    data = utils.image_dataset_from_directory(folder, image_size=(5, 5), shuffle=False, verbose=False, **options)
    pixels = utils.img_to_array(utils.load_img(data.file_paths[3], options.get("color_mode", "rgb")))
    options = {k: v for k, v in options.items() if k not in ("color_mode", "data_format")}
    due = graphnet.ops.image.resize(pixels, (5, 5), **options)
    found = data[0][0][3]
    np.testing.assert_array_equal(found if found.shape == due.shape else found.transpose(1, 2, 0), due)


def test_pictures_come_from_threads_and_processes(folder):
    data = utils.image_dataset_from_directory(
        folder, labels=None, image_size=(2, 2), batch_size=2, shuffle=False, verbose=False
    )
    x = graphnet.Input((2, 2, 3))
    model = graphnet.Model(x, graphnet.ops.max(x, axis=(1, 2, 3)))
    due = [0, 30, 60, 90, 10, 20, 40, 70, 80, 100, 110, 50]
    for workers, processes in ((1, False), (3, False), (1, True)):
        data.workers, data.use_multiprocessing = workers, processes
        assert model.predict(data, verbose=0).tolist() == due


def test_what_cannot_be_sent_to_processes_is_said():
    class Local(utils.PyDataset):
        def __len__(self):
            return 1

        def __getitem__(self, index):
            return np.ones((1, 3))

    x = graphnet.Input((3,))
    with pytest.raises(DataError, match="Local cannot be sent to worker processes.*use_multiprocessing=False"):
        graphnet.Model(x, x + 1).predict(Local(use_multiprocessing=True), verbose=0)


@pytest.mark.parametrize(
    "options, text",
    [
        ({"label_mode": "many"}, "'many'"),
        ({"labels": [1, 2]}, "each of the 12 files"),
        ({"class_names": ["cats"]}, r"\['cats'\]"),
        ({"labels": None, "class_names": ["apes"]}, "inferred"),
        ({"validation_split": 0.5}, "together with subset"),
        ({"subset": "both"}, "together"),
        ({"validation_split": 2.0, "subset": "both"}, "between 0 and 1"),
        ({"validation_split": 0.5, "subset": "training"}, "seed"),
        ({"validation_split": 0.01, "subset": "both"}, "no files for validation"),
        ({"image_size": 3.5}, "image_size"),
        ({"interpolation": "magic"}, "'magic'"),
        ({"interpolation": "area"}, "'area'"),
        ({"crop_to_aspect_ratio": True, "pad_to_aspect_ratio": True}, "at most one"),
        ({"color_mode": "cmyk"}, "'cmyk'"),
        ({"format": "grain"}, "Leave it out"),
        ({"label_mode": "binary", "class_names": ["apes"]}, "two classes"),
    ],
)
def test_folders_that_do_not_fit(options, text, folder):
    with pytest.raises((ValueError, UnsupportedError), match=text):
        utils.image_dataset_from_directory(folder, **options)


def test_damaged_files_in_a_folder_are_named(folder):
    (folder / "apes/00.png").write_bytes(b"damaged")
    (folder / "apes/00.txt").write_bytes(b"\xff\xfe")
    with pytest.raises(DataError, match="00.png.*no picture"):
        utils.image_dataset_from_directory(folder, shuffle=False)[0]
    with pytest.raises(DataError, match="00.txt.*UTF-8"):
        utils.text_dataset_from_directory(folder, shuffle=False)[0]
    assert utils.text_dataset_from_directory(folder, shuffle=False, max_length=3, batch_size=2)[1][0].tolist() == ["wor", "wor"]
