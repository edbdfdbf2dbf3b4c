"""Pictures of models: boxes and edges against `model.graph`, in the dot source and in what is rendered."""
import io
import re
import xml.etree.ElementTree

import pytest
from PIL import Image

import graphnet as gn
from graphnet import layers
from graphnet.visualization import render as rendering

SVG = "{http://www.w3.org/2000/svg}"


def encoder():
    x = gn.Input((12, 12, 1), name="picture")
    y = layers.Conv2D(4, 3, activation="relu")(x)
    return gn.Model(x, layers.GlobalMaxPooling2D()(y), name="encoder")


def residual():
    x = gn.Input((8,), name="x")
    y = layers.Dense(8, activation="relu")(x)
    y = layers.add([y, x])
    return gn.Model(x, layers.add([layers.Dense(8)(y), y]), name="residual")


def nested():
    x = gn.Input((12, 12, 1))
    return gn.Model(x, layers.Dense(3)(encoder()(x)), name="nested")


def ensemble():
    x = gn.Input((8,))
    return gn.Model(x, layers.average([gn.Sequential([gn.Input((8,)), layers.Dense(2)])(x) for _ in range(3)]), name="ensemble")


def shared():
    """A layer called three times, once on its own result; a nested model of two inputs, given as a dict, and two outputs,
    called twice.
    """
    twin, x, y = layers.Dense(8, name="twin"), gn.Input((8,), name="x"), gn.Input((8,), name="y")
    u, v = twin(twin(x)), twin(y)
    a, b = gn.Input((8,), name="a"), gn.Input((8,), name="b")
    inner = gn.Model({"q": a, "p": b}, [layers.Dense(4, name="from_a")(a), layers.Dense(4, name="from_b")(b)], name="inner")
    p, q = inner({"q": u, "p": v})
    r, s = inner({"q": v, "p": x})
    return gn.Model([x, y], [layers.concatenate([p, q, r, s]), layers.add([x, x])], name="shared")


MODELS = [encoder, residual, nested, ensemble, shared]


def boxes_of(graph, expand, prefix=""):
    """Paths of the boxes that a picture should have: one a layer."""
    for data in {d["layer"]: d for _, d in graph.nodes(data=True)}.values():
        if expand and data["graph"] is not None:
            yield from boxes_of(data["graph"], expand, f"{prefix}{data['layer']}/")
        else:
            yield prefix + data["layer"]


def edge_count(graph, expand):
    inner = {d["layer"]: d["graph"] for _, d in graph.nodes(data=True) if expand and d["graph"] is not None}
    return graph.number_of_edges() + sum(edge_count(g, expand) for g in inner.values())


def parts(svg, kind):
    """The elements of one kind of a rendered picture, by title: the corners of all that is drawn in each."""
    found = {}
    for group in xml.etree.ElementTree.fromstring(svg).iter(f"{SVG}g"):
        if group.get("class") == kind:
            points = [tuple(map(float, p.split(","))) for polygon in group.iter(f"{SVG}polygon")
                      for p in polygon.get("points").split()]
            points += [tuple(map(float, p)) for path in group.iter(f"{SVG}path")
                       for p in re.findall(r"(-?[\d.]+),(-?[\d.]+)", path.get("d"))]
            xs, ys = zip(*points, strict=True)
            found.setdefault(group.find(f"{SVG}title").text, []).append((min(xs), min(ys), max(xs), max(ys)))
    return found


@pytest.mark.parametrize("rankdir", ["TB", "LR"])
@pytest.mark.parametrize("expand", [False, True])
@pytest.mark.parametrize("build", MODELS)
def test_boxes_and_edges_are_those_of_the_graph(build, expand, rankdir):
    model = build()
    dot = gn.utils.model_to_dot(model, show_shapes=True, show_dtype=True, show_trainable=True, show_layer_activations=True,
                                expand_nested=expand, rankdir=rankdir)
    svg = rendering.render(dot, "svg")
    boxes = parts(svg, "node")
    assert sorted(boxes) == sorted(boxes_of(model.graph, expand))
    assert all(len(places) == 1 for places in boxes.values())
    assert sum(map(len, parts(svg, "edge").values())) == edge_count(model.graph, expand) == dot.source.count(" -> ")
    placed = [place for places in boxes.values() for place in places]
    for i, a in enumerate(placed):
        for b in placed[:i]:
            assert a[2] < b[0] or b[2] < a[0] or a[3] < b[1] or b[3] < a[1], "two boxes overlap"


def test_frames_hold_the_boxes_of_their_model():
    svg = rendering.render(gn.utils.model_to_dot(nested(), expand_nested=True), "svg")
    boxes, frames = parts(svg, "node"), parts(svg, "cluster")
    frame, = frames["cluster_encoder"]
    for name, (place,) in boxes.items():
        inside = frame[0] < place[0] and frame[1] < place[1] and place[2] < frame[2] and place[3] < frame[3]
        assert inside == name.startswith("encoder/")


def edges(dot):
    return re.findall(r"^\s*(\S+) -> (\S+)$", dot.source.replace('"', ""), re.MULTILINE)


def test_a_shared_layer_has_a_pin_for_each_call():
    found = edges(gn.utils.model_to_dot(shared()))
    assert ("x", "twin:in0:n") in found and ("twin:out0:s", "twin:in1:n") in found and ("y", "twin:in2:n") in found
    assert [tail for tail, head in found if head == "concatenate" or head.startswith("concatenate_")] == [
        f"inner:out{i}:s" for i in range(4)
    ]


def test_edges_reach_the_right_boxes_of_a_nested_model():
    found = edges(gn.utils.model_to_dot(shared(), expand_nested=True, rankdir="LR"))
    assert ("twin:out1:e", "inner/a:in0:w") in found  # q of the first call, although p comes first among the inputs
    assert ("twin:out2:e", "inner/b:in0:w") in found
    assert ("twin:out2:e", "inner/a:in1:w") in found
    assert ("x", "inner/b:in1:w") in found
    assert {tail for tail, head in found if head.startswith("concatenate")} == {
        f"inner/from_{k}:out{i}:e" for k in "ab" for i in (0, 1)
    }


def test_boxes_say_what_was_asked_for():
    model = encoder()
    model.get_layer(index=1).trainable = False
    plain = gn.utils.model_to_dot(model, show_layer_names=False).source
    assert "Conv2D" in plain and "conv2d" not in re.sub(r"^\s*conv2d.*?\[|.* -> .*", "", plain, flags=re.MULTILINE)
    full = gn.utils.model_to_dot(model, show_shapes=True, show_dtype=True, show_layer_activations=True,
                                 show_trainable=True).source
    for text in ("(None, 12, 12, 1)", "(None, 10, 10, 4)", "float32", "relu", "not trainable", "picture"):
        assert text in full and text not in plain.replace("picture [", "").replace("picture ->", "")


@pytest.mark.parametrize("kind, start", [("png", b"\x89PNG"), ("svg", b"<?xml"), ("dot", b"digraph"), ("jpg", b"\xff\xd8")])
def test_formats(tmp_path, kind, start):
    picture = gn.utils.plot_model(residual(), tmp_path / f"model.{kind}", show_shapes=True)
    data = (tmp_path / f"model.{kind}").read_bytes()
    assert data.startswith(start) and picture.data == data
    if kind in ("png", "jpg"):
        width, height = Image.open(io.BytesIO(data)).size
        assert width > 300 and height > 300
    assert list(tmp_path.iterdir()) == [tmp_path / f"model.{kind}"]


def test_a_notebook_shows_it(tmp_path):
    model = residual()
    assert parts(model._repr_svg_(), "node")
    assert "image/png" in gn.utils.plot_model(model, tmp_path / "m.png")._repr_mimebundle_()
    assert "image/svg+xml" in gn.utils.plot_model(model, tmp_path / "m.svg")._repr_mimebundle_()


def test_names_that_dot_would_misread():
    x = gn.Input((3,), name="in<put>&")
    model = gn.Model(x, layers.Dense(2, name='scope/dense:0 "q"')(layers.Dense(3, name='scope/dense.0 "q"')(x)))
    svg = rendering.render(gn.utils.model_to_dot(model), "svg")
    assert len(parts(svg, "node")) == 3 and sum(map(len, parts(svg, "edge").values())) == 2


def test_errors_say_what_to_do(tmp_path, monkeypatch):
    model = residual()
    with pytest.raises(ValueError, match=r"png, svg.*received the format 'bmp'"):
        gn.utils.plot_model(model, tmp_path / "m.bmp")
    with pytest.raises(ValueError, match="rankdir 'TB'"):
        gn.utils.plot_model(model, tmp_path / "m.png", rankdir="down")
    with pytest.raises(FileNotFoundError, match="no folder"):
        gn.utils.plot_model(model, tmp_path / "nowhere" / "m.png")
    with pytest.raises(ValueError, match="model.extract"):
        gn.utils.plot_model(model, tmp_path / "m.png", layer_range=["a", "b"])
    with pytest.raises(ValueError, match="expects a model"):
        gn.utils.plot_model([model], tmp_path / "m.png")
    with pytest.raises(ValueError, match="begin it with Input"):
        gn.utils.plot_model(gn.Sequential([layers.Dense(2)]), tmp_path / "m.png")
    monkeypatch.setattr(rendering, "programs", lambda: {"dot": None, "graphviz-pure": "graphviz-pure"})
    with pytest.raises(RuntimeError, match="To write pdf, install Graphviz"):
        gn.utils.plot_model(model, tmp_path / "m.pdf")
    monkeypatch.setattr(rendering, "programs", lambda: {"dot": None, "graphviz-pure": None})
    with pytest.raises(RuntimeError, match="pip install graphviz-pure"):
        gn.utils.plot_model(model, tmp_path / "m.png")
    assert not list(tmp_path.iterdir())


def test_subclassed_models_have_no_graph(tmp_path):
    class Own(gn.Model):
        def call(self, x):
            return x
    with pytest.raises(ValueError, match="has no graph of layers"):
        gn.utils.plot_model(Own(), tmp_path / "m.png")
    assert Own()._repr_svg_() is None


def test_a_picture_of_many_layers():
    x = first = gn.Input((4,))
    for _ in range(200):
        x = layers.Dense(4)(x)
    dot = gn.utils.model_to_dot(gn.Model(first, x), show_shapes=True)
    assert len(parts(rendering.render(dot, "svg"), "node")) == 201
