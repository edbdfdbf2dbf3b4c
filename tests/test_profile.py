"""Model.profile and Model.cost: what is counted, by layer, before and while a model runs."""
import json

import numpy as np
import pytest

import graphnet as gn
from graphnet import layers
from graphnet.visualization.profile import StepTime


def model():
    image = gn.Input((12, 10, 3), name="image")
    inner_in = gn.Input((4,), name="inner_in")
    inner = gn.Model(inner_in, layers.Dense(5, name="inside")(inner_in), name="inner")
    x = layers.Conv2D(4, 3, name="conv")(image)
    x = layers.DepthwiseConv2D(3, padding="same", name="depth")(x)
    return gn.Model(image, inner(layers.GlobalAveragePooling2D(name="pool")(x)), name="counted")


def test_multiply_adds_of_each_layer():
    cost = model().cost()
    work = {row.layer: row.multiply_adds for row in cost.at(batch=7).layers}
    pixels = 7 * 10 * 8
    assert work["conv"] == pixels * 4 * (27 + 1)  # a sum of products, and a bias
    assert work["depth"] == pixels * 4 * (9 + 1)
    assert work["inner/inside"] == 7 * 5 * (4 + 1)
    assert cost.at(batch=7).total.multiply_adds == sum(work.values())
    assert cost.total.params == model().count_params() == 4 * 27 + 4 + 4 * 9 + 4 + 5 * 4 + 5


def test_results_in_memory_and_what_is_moved():
    rows = {row.layer: row for row in model().cost().at(batch=2).layers}
    assert rows["conv"].memory == 4 * 2 * 10 * 8 * 4
    assert rows["conv"].nbytes == rows["conv"].memory + 4 * 2 * 12 * 10 * 3 + 4 * rows["conv"].params


def test_recurrent_and_transposed_layers():
    steps = gn.Input((None, 6), name="x")
    lstm = gn.Model(steps, layers.LSTM(5, name="lstm")(steps)).cost()
    image = gn.Input((4, 4, 3))
    transposed = gn.Model(image, layers.Conv2DTranspose(2, 3, use_bias=False, name="up")(image)).cost()
    assert transposed.at(batch=1).layers[0].multiply_adds == 16 * 9 * 3 * 2
    names = {s for s in str(lstm.total.multiply_adds).replace("*", " ").split() if not s.isdigit()}
    assert "batch" in names and len(names) >= 2
    with pytest.raises(ValueError, match="batch"):
        lstm.at(rows=3)


def test_unknown_extents_are_shown_by_name():
    text = str(model().cost())
    assert "batch" in text and "conv" in text and "total" in text


def test_a_profile_names_every_step_and_layer(tmp_path):
    made = model()
    x = np.ones((2, 12, 10, 3), "float32")
    profile = made.profile(x, runs=2)
    assert {row.layer for row in profile.layers()} >= {"conv", "depth", "inner/inside"}
    assert all(s.seconds > 0 for s in profile.steps) and profile.seconds > 0
    assert sum(share for _, share in profile.shares().values()) == pytest.approx(1.0)
    assert "GFLOP/s" in str(profile) and "conv" in str(profile)
    events = json.loads(profile.to_chrome_trace(tmp_path / "trace.json").read_text())["traceEvents"]
    assert len(events) == len(profile.steps)
    assert all(a["ts"] + a["dur"] <= b["ts"] + 1e-6 for a, b in zip(events, events[1:], strict=False))


def test_a_picture_shows_the_times():
    made = model()
    dot = gn.utils.model_to_dot(made, profile=made.profile(np.ones((1, 12, 10, 3), "float32"), runs=1))
    assert dot.source.count(" ms</b>") >= 3  # conv, depth and the nested model


def test_a_share_of_the_roofline():
    machine = (1e9, 1e9)
    assert StepTime("k", "l", 1e-3, 5e5, 0).roofline(machine) == pytest.approx(0.5)
    assert StepTime("k", "l", 1e-3, 0.0, 250_000).roofline(machine) == pytest.approx(0.25)


def test_a_model_without_a_graph_says_so():
    class Own(gn.Model):
        def call(self, x):
            return x * 2.0
    with pytest.raises(ValueError, match="own call"):
        Own().profile(np.ones((1, 2), "float32"))
