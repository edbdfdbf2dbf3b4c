"""The networks: sizes that Keras publishes, names, features, arguments, files; topologies against Keras where it is installed.
"""
import json
import os

import numpy as np
import pytest

import graphnet
from graphnet import applications
from graphnet.settings import settings

SIZES = {  # https://keras.io/api/applications/ : parameters with the top; layers, the Input among them
    "VGG16": (138_357_544, 23), "VGG19": (143_667_240, 26), "ResNet50": (25_636_712, 177), "ResNet50V2": (25_613_800, 192),
    "MobileNet": (4_253_864, 91),
    "MobileNetV2": (3_538_984, 156), "Xception": (22_910_480, 134), "DenseNet121": (8_062_504, 429)}
SMALL = [name for name in SIZES if name not in ("VGG16", "VGG19")]
MODES = {"vgg16": "caffe", "vgg19": "caffe", "resnet": "caffe", "resnet50": "caffe", "resnet_v2": "tf", "mobilenet": "tf",
         "mobilenet_v2": "tf",
         "xception": "tf", "densenet": "torch"}


def images(*shape):
    return np.random.default_rng(0).uniform(0, 255, shape).astype("float32")


def drawn(model):
    """Weights under which signals neither vanish nor explode, the same for the same shapes and names."""
    rng = np.random.default_rng(0)
    values = []
    for w in model.weights:
        if w.name in ("gamma", "moving_variance"):
            values.append(rng.uniform(0.5, 1.5, w.shape))
        elif w.name in ("beta", "moving_mean", "bias"):
            values.append(rng.normal(0, 0.1, w.shape))
        else:
            values.append(rng.normal(0, 1, w.shape) * np.sqrt(2 / np.prod(w.shape[:-1])))
    return [v.astype("float32") for v in values]


@pytest.mark.parametrize("name", SMALL)
def test_sizes_are_those_that_keras_publishes(name):
    model = getattr(applications, name)(weights=None)
    side = 299 if name == "Xception" else 224
    assert (model.count_params(), len(model.layers)) == SIZES[name]
    assert (model.input_shape, model.output_shape) == ((None, side, side, 3), (None, 1000))


@pytest.mark.slow
@pytest.mark.parametrize("name", ["VGG16", "VGG19"])
def test_sizes_of_the_large_ones(name):
    model = getattr(applications, name)(weights=None)
    assert (model.count_params(), len(model.layers)) == SIZES[name]


@pytest.mark.parametrize("name", list(SIZES))
def test_features_of_any_size(name):
    """Without the top the extents are open; the pooled features are the means of the features."""
    maps, pooled = (getattr(applications, name)(weights=None, include_top=False, pooling=p) for p in (None, "avg"))
    values = drawn(maps)
    maps.set_weights(values)
    pooled.set_weights(values)
    for side in (72, 96):
        x = images(1, side, side, 3) / 255
        y = maps(x)
        assert y.shape[1:3] == (-(-side // 32),) * 2 or y.shape[1:3] == (side // 32,) * 2
        np.testing.assert_allclose(pooled(x), y.mean((1, 2)), rtol=1e-4, atol=1e-5)


def test_intermediate_features_by_name():
    model = applications.VGG19(weights=None, include_top=False)
    some = model.extract("block1_pool", "block2_conv*")
    x = images(1, 32, 32, 3) / 255
    first, *rest = some(x)
    assert first.shape == (1, 16, 16, 64) and [r.shape for r in rest] == [(1, 16, 16, 128)] * 2
    names = [layer.name for layer in model.layers]
    assert names[1:4] == ["block1_conv1", "block1_conv2", "block1_pool"] and names[-1] == "block5_pool"


def test_an_input_tensor_of_ones_own():
    """A network behind other layers is one model from their Input on."""
    inputs = graphnet.Input((64, 64, 3), name="photo")
    scaled = graphnet.layers.Rescaling(1 / 255)(inputs)
    model = applications.MobileNetV2(weights=None, include_top=False, input_tensor=scaled, alpha=0.35)
    assert [t.name for t in model.inputs] == ["photo"] and model.output_shape == (None, 2, 2, 1280)
    with pytest.raises(TypeError, match="symbolic tensor"):
        applications.MobileNetV2(weights=None, input_tensor=images(1, 64, 64, 3))


def test_widths_and_heads():
    wide = applications.MobileNetV2(weights=None, include_top=False, input_shape=(97, 64, 3), alpha=1.4)
    assert wide.name == "mobilenetv2_1.40_97" and wide.output_shape == (None, 4, 2, 1792)
    logits = applications.MobileNet(weights=None, alpha=0.25, input_shape=(128, 128, 3), classes=7, classifier_activation=None)
    assert logits.output_shape == (None, 7) and logits.name == "mobilenet_0.25_128"
    grey = applications.ResNet50(weights=None, include_top=False, input_shape=(64, 64, 1), pooling="max")
    assert grey.input_shape == (None, 64, 64, 1) and grey.layers[-1].name == "max_pool"


@pytest.mark.parametrize("options, text", [
    (dict(weights="nowhere.h5"), "does not exist"), (dict(classes=10), "classes=1000"),
    (dict(weights=None, pooling="mean"), "pooling"),
    (dict(classifier_activation="relu"), "classifier_activation"),
    (dict(weights=None, include_top=False, input_shape=(31, 64, 3)), "at least 32"),
    (dict(weights=None, input_shape=(None, None, 3)), "known extents"),
    (dict(input_shape=(64, 64, 3)), "input_shape=\\(224, 224, 3\\)"),
    (dict(include_top=False, input_shape=(64, 64, 1)), "3 channels"),
    (dict(weights=None, input_shape=(64, 64)), "three extents")])
def test_arguments_are_checked_before_anything_is_built(options, text):
    with pytest.raises(ValueError, match=text):
        applications.ResNet50(**options)


def test_trained_weights_are_looked_for_in_both_caches(tmp_path, monkeypatch):
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "keras"))
    loaded = []
    monkeypatch.setattr(graphnet.Model, "load_weights", lambda self, path: loaded.append(str(path)))
    with settings(home=tmp_path / "own"):
        with pytest.raises(FileNotFoundError) as caught:
            applications.MobileNetV2(include_top=False, input_shape=(96, 96, 3), alpha=0.35)
        name = "mobilenet_v2_weights_tf_dim_ordering_tf_kernels_0.35_96_no_top.h5"
        for part in (name, str(tmp_path / "keras" / "models"), str(tmp_path / "own" / "models"), "https://"):
            assert part in str(caught.value)
        for folder in ("own", "keras"):
            (tmp_path / folder / "models").mkdir(parents=True)
            (tmp_path / folder / "models" / name).write_bytes(b"")
            applications.MobileNetV2(include_top=False, input_shape=(96, 96, 3), alpha=0.35)
        with (
            pytest.warns(UserWarning, match="those for 224 are taken"),
            pytest.raises(FileNotFoundError, match="_1.0_224_no_top.h5"),
        ):
            applications.MobileNetV2(include_top=False)
    assert loaded == [str(tmp_path / folder / "models" / name) for folder in ("own", "keras")]


@pytest.mark.parametrize("module", MODES)
@pytest.mark.parametrize("data_format", ["channels_last", "channels_first"])
def test_preprocessing(module, data_format):
    """The formulas of Caffe, TensorFlow and PyTorch, on arrays of any number type, and inside of a model."""
    x = np.random.default_rng(0).integers(0, 256, (2, 4, 5, 3)).astype("uint8")
    wide = x.astype("float64")
    expected = {"tf": wide / 127.5 - 1, "caffe": wide[..., ::-1] - [103.939, 116.779, 123.68],
                "torch": (wide / 255 - [0.485, 0.456, 0.406]) / [0.229, 0.224, 0.225]}[MODES[module]]
    if data_format == "channels_first":
        x, expected = x.transpose(0, 3, 1, 2), expected.transpose(0, 3, 1, 2)
    preprocess = getattr(applications, module).preprocess_input
    kept = x.copy()
    got = preprocess(x, data_format=data_format)
    assert got.dtype == "float32"
    np.testing.assert_allclose(got, expected, rtol=1e-5, atol=1e-4)
    np.testing.assert_allclose(preprocess(x[0], data_format=data_format), expected[0], rtol=1e-5, atol=1e-4)
    np.testing.assert_array_equal(x, kept)
    inputs = graphnet.Input(x.shape[1:], dtype="uint8")
    model = graphnet.Model(inputs, preprocess(inputs, data_format=data_format))
    np.testing.assert_allclose(model(x), expected, rtol=1e-5, atol=1e-4)


def test_preprocessing_says_what_it_expects():
    with pytest.raises(ValueError, match="mode"):
        applications.imagenet_utils.preprocess_input(images(2, 2, 3), mode="keras")
    with pytest.raises(ValueError, match="3 channels"):
        applications.vgg16.preprocess_input(images(2, 2, 4))


def test_decoding(tmp_path, monkeypatch):
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "keras"))
    scores = np.random.default_rng(0).permutation(2000).reshape(2, 1000).astype("float32")
    with settings(home=tmp_path):
        with pytest.raises(FileNotFoundError, match="imagenet_class_index.json"):
            applications.vgg19.decode_predictions(scores)
        (tmp_path / "models").mkdir()
        (tmp_path / "models" / "imagenet_class_index.json").write_text(json.dumps({str(i): [f"n{i:08d}", f"thing_{i}"]
                                                                                   for i in range(1000)}))
        decoded = applications.vgg19.decode_predictions(scores, top=3)
    for row, found in zip(scores, decoded, strict=True):
        best = sorted(range(1000), key=lambda i: -row[i])[:3]
        assert [(number, name) for number, name, _ in found] == [(f"n{i:08d}", f"thing_{i}") for i in best]
        assert [score for *_, score in found] == [row[i] for i in best]
    with pytest.raises(ValueError, match="1000"):
        applications.vgg19.decode_predictions(scores[:, :10])


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", list(SIZES))
def test_topology_and_outputs_are_those_of_keras(name):
    os.environ.setdefault("KERAS_BACKEND", "jax")
    keras = pytest.importorskip("keras", reason="compares with the real Keras, which is not installed here",
                                exc_type=ImportError)
    keras.utils.clear_session()
    graphnet.utils.clear_session()
    theirs, ours = (
        getattr(package.applications, name)(weights=None, include_top=False, pooling="avg") for package in (keras, graphnet)
    )
    assert [layer.name for layer in ours.layers] == [layer.name for layer in theirs.layers]
    assert [(w.path, w.shape) for w in ours.weights] == [(w.path, tuple(w.shape)) for w in theirs.weights]
    values = drawn(ours)
    ours.set_weights(values)
    theirs.set_weights(values)
    x = images(1, 72, 72, 3) / 255
    expected = np.asarray(theirs(x))
    np.testing.assert_allclose(ours(x), expected, rtol=1e-4, atol=1e-5 * np.abs(expected).max())
