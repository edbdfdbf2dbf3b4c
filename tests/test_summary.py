"""summary() against the tables that the real Keras recorded, and on models that have no graph or no weights yet."""
import re

import numpy as np
import pytest

import graphnet as gn
from graphnet import layers
from graphnet.visualization.table import render, wrapped


def text_of(model, **kwargs):
    said = []
    model.summary(print_fn=said.append, **kwargs)
    text, = said  # print_fn is called once
    return text


def parsed(text):
    """Each table as rows of (depth of nesting, cells without white space), and the other lines."""
    found, row = [], None
    for line in text.splitlines():
        if line[:1] in ("┏", "┡", "├", "└"):
            if row:
                indent = re.match(r" *└?", row[0][1:]).group(0)
                found.append((len(indent), *("".join(cell.split()) for cell in row)))
            row = None
        elif line[:1] in ("│", "┃"):
            cells = re.split("[│┃]", line)[1:-1]
            row = cells if row is None else [a + b for a, b in zip(row, cells, strict=True)]
        elif line.strip() and not line.startswith("---"):
            found.append(line.strip())
    return found


def agrees(ours, keras):
    """Equal, where Keras did not cut a cell short."""
    if isinstance(keras, str):
        return ours == keras
    return len(ours) == len(keras) and ours[0] == keras[0] and all(
        a == b or ("…" in b and re.fullmatch(".*".join(map(re.escape, b.split("…"))), a))
        for a, b in zip(ours[1:], keras[1:], strict=True))


NAMES = ["autoencoder", "autoencoder_nested", "bidirectional_gru", "conv1d_net", "encoder", "ensemble", "mnist_mlp",
         "shared_embedding", "ticket_triage",
         "toy_resnet"]
REAL = ["chars2vec_eng_50.keras", "chars2vec_eng_50_pair.keras", "fer2013_mini_XCEPTION.102-0.66.hdf5", "mtcnn_pnet.keras",
        "mtcnn_rnet.keras",
        "ner_lstm.keras"]


@pytest.mark.parametrize("name", [f"keras_reference/{n}.keras" for n in NAMES] + [f"real/{n}" for n in REAL])
def test_recorded_tables(shared, name):
    path = shared / "models" / name
    recorded = path.with_name(path.name.removesuffix(".keras").removesuffix(".hdf5") + ".summary.txt").read_text()
    model = gn.models.load_model(path)
    text = text_of(model, line_length=100)
    if "expand_nested=True" in recorded:
        text += "\n" + text_of(model, line_length=100, expand_nested=True)
    ours, keras = parsed(text), parsed(recorded)
    assert len(ours) == len(keras)
    for a, b in zip(ours, keras, strict=True):
        assert agrees(a, b)
    assert "…" not in text
    assert {len(line) for line in text.splitlines() if line[:1] in "┏┃┡│├└"} == {100}


def residual():
    x = gn.Input((8,), name="x")
    y = layers.Dense(8, name="a_layer_with_quite_a_long_name_that_does_not_fit_into_its_column")(x)
    return gn.Model(x, layers.add([layers.BatchNormalization(name="norm", trainable=False)(y), x], name="sum"), name="residual")


def test_nothing_is_cut_at_any_width():
    model = residual()
    rows = parsed(text_of(model))
    for width in (40, 60, 80, 200):
        text = text_of(model, line_length=width, show_trainable=True)
        assert [row[:5] if isinstance(row, tuple) else row for row in parsed(text)] == rows
    assert max(map(len, text_of(model, line_length=200).splitlines())) == 200


def test_trainable():
    rows = {row[1].split("(")[0]: row[-1] for row in parsed(text_of(residual(), show_trainable=True)) if isinstance(row, tuple)}
    assert rows["norm"] == "N" and rows["x"] == "-" and rows["sum"] == "-" and rows["Layer"] == "Trainable"
    assert "Trainable params: 72 (288.00 B)" in text_of(residual()) and "Non-trainable params: 32 (128.00 B)" in text_of(
        residual()
    )


def test_positions_are_shares_of_the_line():
    def columns(*positions):
        return [len(part) for part in text_of(residual(), line_length=100, positions=positions).splitlines()[1].split("┳")]
    assert columns(0.5, 0.7, 0.8, 1.0) == columns(50, 70, 80, 100)
    assert columns(0.5, 0.7, 0.8, 1.0)[0] > columns(0.3, 0.6, 0.8, 1.0)[0]


def test_layer_range():
    def names(*layer_range):
        return [row[1].split("(")[0] for row in parsed(text_of(residual(), layer_range=layer_range))
                if isinstance(row, tuple)][1:]
    assert names("norm", "norm") == ["norm"] and names("x", "norm")[-1] == "norm" and names("sum", "n.*m") == ["norm", "sum"]
    for wrong, said in [(("nothing", "sum"), "fits no layer"), (("x",), "two names"), ("xy", "two names")]:
        with pytest.raises(ValueError, match=said):
            residual().summary(layer_range=wrong)


def test_prints_by_default(capsys):
    residual().summary()
    assert capsys.readouterr().out.startswith('Model: "residual"')


class Own(gn.Model):
    def __init__(self):
        super().__init__(name="own")
        self.first = layers.Dense(3, name="first")
        self.tail = gn.Sequential([layers.Dense(2, name="second")], name="tail")

    def call(self, x):
        return self.tail(self.first(x))


def test_models_without_a_graph():
    model = Own()
    assert parsed(text_of(model))[2:4] == [(0, "first(Dense)", "?", "0(unbuilt)"), (0, "tail(Sequential)", "?", "0(unbuilt)")]
    model.build((None, 4))
    assert parsed(text_of(model, expand_nested=True))[2:5] == [
        (0, "first(Dense)", "(None,3)", "15"), (0, "tail(Sequential)", "(None,2)", "8"), (4, "└second(Dense)", "(None,2)", "8")]
    called = Own()
    called(np.zeros((2, 4), "float32"))
    assert parsed(text_of(called))[2] == (0, "first(Dense)", "(2,3)", "15")


def test_sequential_that_is_not_built():
    assert parsed(text_of(gn.Sequential([layers.Dense(3, name="d")])))[2] == (0, "d(Dense)", "?", "0(unbuilt)")


def test_names_are_not_used_up():
    gn.utils.clear_session()
    Own()
    model = Own()
    model.build((None, 4))
    text_of(model, expand_nested=True)
    assert layers.Dense(1).name == "dense" and gn.Input((1,)).name == "input_layer"


def test_cells_wrap():
    assert (
        wrapped("   └ name (Class)", 12) == ["   └ name", "(Class)"]
        and wrapped("", 5) == [""]
        and "".join(wrapped("x" * 23, 5)) == "x" * 23
    )
    table = render(["A", "B"], [["a long cell", "1"], ["b", "22\n333"]], [4, 3], "lr")
    assert {len(line) for line in table.splitlines()} == {14} and " 333 │" in table
