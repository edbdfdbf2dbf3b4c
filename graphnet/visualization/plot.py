"""A model's graph as a picture: dot source from networkx, rendered by Graphviz where there is one, else by graphviz-pure."""
import html
import pathlib
import shutil
import subprocess
import sys
import sysconfig
from dataclasses import dataclass
from typing import Any

import graphviz
import networkx as nx

FORMATS = ("png", "svg", "pdf", "dot", "jpg", "jpeg", "ps")
PURE = ("png", "svg", "dot", "jpg", "jpeg")  # what graphviz-pure can write
COLOURS = {"input": "#2e6f40", "layer": "#1f3b57", "op": "#5a5a5a", "model": "#6b3a6f"}


@dataclass(frozen=True)
class Style:
    """What a box shows, and how the picture runs."""

    shapes: bool = False
    dtype: bool = False
    names: bool = False
    activations: bool = False
    trainable: bool = False
    expand: bool = False


def dot_source(graph: nx.MultiDiGraph, show_shapes: bool = False, show_dtype: bool = False, show_layer_names: bool = False, rankdir: str = "TB",
               expand_nested: bool = False, dpi: int = 200, show_layer_activations: bool = False, show_trainable: bool = False,
               splines: str = "spline") -> graphviz.Digraph:
    """The picture of a graph of layer calls (`Model.graph`): a box a layer, an edge an operand; nested models as frames or boxes.

    A shared layer is one box; edges into and out of it carry the numbers of its calls.
    """
    if rankdir not in ("TB", "BT", "LR", "RL"):
        raise ValueError(f"plot_model expects rankdir 'TB', 'BT', 'LR' or 'RL'; received {rankdir!r}.")
    style = Style(show_shapes, show_dtype, show_layer_names, show_layer_activations, show_trainable, expand_nested)
    dot = graphviz.Digraph(str(graph.graph["name"]))
    dot.attr(rankdir=rankdir, dpi=str(dpi), splines=splines, nodesep="0.35", ranksep="0.4")
    dot.attr("node", shape="plain", fontname="Helvetica")
    dot.attr("edge", fontname="Helvetica", fontsize="11", color="#444444", arrowsize="0.7")
    _draw(dot, graph, "", style)
    return dot


def _identity(prefix: str, name: str) -> str:
    return f"{prefix}{name}"


def _boxes(graph: nx.MultiDiGraph) -> dict[str, list[str]]:
    """The calls of each layer, in order."""
    boxes: dict[str, list[str]] = {}
    for name, data in graph.nodes(data=True):
        boxes.setdefault(data["layer"], []).append(name)
    return boxes


def _expanded(data: dict[str, Any], style: Style) -> bool:
    return style.expand and data["graph"] is not None


def _draw(dot: graphviz.Digraph, graph: nx.MultiDiGraph, prefix: str, style: Style) -> None:
    boxes = _boxes(graph)
    for layer, calls in boxes.items():
        data = graph.nodes[calls[0]]
        if _expanded(data, style):
            with dot.subgraph(name=f"cluster_{_identity(prefix, layer)}") as frame:
                label = layer if len(calls) == 1 else f"{layer} (called {len(calls)} times)"
                frame.attr(label=f"{label} ({data['class_name']})", labeljust="l", style="rounded,dashed", color="#6b3a6f", fontname="Helvetica", fontsize="12")
                _draw(frame, data["graph"], f"{_identity(prefix, layer)}/", style)
        else:
            dot.node(_identity(prefix, layer), label=_label(graph, layer, calls, style))
    for producer, consumer, position, data in sorted(graph.edges(keys=True, data=True), key=lambda e: (e[1], e[2])):
        _edge(dot, graph, prefix, boxes, (producer, consumer, position, data["output"]), style)


def _edge(dot: graphviz.Digraph, graph: nx.MultiDiGraph, prefix: str, boxes: dict[str, list[str]], edge: tuple[str, str, int, int], style: Style) -> None:
    producer, consumer, position, output = edge
    tail_data, head_data = graph.nodes[producer], graph.nodes[consumer]
    tail, head = _identity(prefix, tail_data["layer"]), _identity(prefix, head_data["layer"])
    labels = {}
    if len(boxes[tail_data["layer"]]) > 1:
        labels["taillabel"] = f"call {tail_data['call']}"
    if len(boxes[head_data["layer"]]) > 1:
        labels["headlabel"] = f"call {head_data['call']}"
    if _expanded(tail_data, style):
        tail = _end(tail_data["graph"], tail, "outputs", output)
    if _expanded(head_data, style):
        head = _end(head_data["graph"], head, "inputs", position)
    dot.edge(tail, head, **labels)


def _end(graph: nx.MultiDiGraph, prefix: str, side: str, index: int) -> str:
    """The box inside a nested model that an edge begins or ends at."""
    ends = graph.graph[side]
    name = ends[min(index, len(ends) - 1)][0]
    data = graph.nodes[name]
    inner = f"{prefix}/{data['layer']}"
    return _end(data["graph"], inner, side, 0) if data["graph"] is not None else inner


def _cell(text: str, colour: str = "white", font: str = "black", span: int = 1) -> str:
    return f'<td bgcolor="{colour}" colspan="{span}"><font color="{font}">{text}</font></td>'


def _shape_text(shapes: list[Any]) -> str:
    distinct = list(dict.fromkeys(map(str, shapes)))
    return html.escape(distinct[0] if len(distinct) == 1 and len(shapes) == 1 else ", ".join(map(str, shapes)))


def _label(graph: nx.MultiDiGraph, layer: str, calls: list[str], style: Style) -> str:
    """The box as an HTML-like table: a coloured head, then the rows that the style asks for."""
    data = graph.nodes[calls[0]]
    title = f"<b>{html.escape(data['class_name'])}</b>"
    if style.names:
        title = f"<b>{html.escape(layer)}</b> ({html.escape(data['class_name'])})"
    if len(calls) > 1:
        title += f" &#215; {len(calls)} calls"
    rows = []
    if style.activations and data["activation"]:
        rows.append(_cell(f"activation <b>{html.escape(data['activation'])}</b>", span=2))
    if style.shapes:
        for name in dict.fromkeys((graph.nodes[c]["input_shapes"], graph.nodes[c]["output_shapes"]) for c in calls):
            before, after = name
            if before:
                rows.append(_cell(f"in <b>{_shape_text(list(before))}</b>") + _cell(f"out <b>{_shape_text(list(after))}</b>"))
            else:
                rows.append(_cell(f"out <b>{_shape_text(list(after))}</b>", span=2))
    if style.dtype:
        rows.append(_cell(f"dtype <b>{html.escape(', '.join(dict.fromkeys(data['output_dtypes'])))}</b>", span=2))
    if style.trainable and data["params"]:
        word, colour = ("trainable", "#2e8b57") if data["trainable"] else ("frozen", "#b22222")
        rows.append(_cell(f"<b>{word}</b>", colour, "white", 2))
    head = _cell(title, COLOURS[data["kind"]], "white", 2)
    body = "".join(f"<tr>{row}</tr>" for row in [head, *rows])
    return f'<<table border="0" cellborder="1" cellspacing="0" cellpadding="6">{body}</table>>'


# ---- rendering

def programs() -> dict[str, str | None]:
    """The programs that can render: Graphviz's `dot`, preferred, and graphviz-pure's, which is installed with graphnet."""
    scripts = pathlib.Path(sysconfig.get_path("scripts")) / ("graphviz-pure.exe" if sys.platform == "win32" else "graphviz-pure")
    return {"dot": shutil.which("dot"), "graphviz-pure": str(scripts) if scripts.exists() else shutil.which("graphviz-pure")}


def render(dot: graphviz.Digraph, kind: str) -> bytes:
    """The picture as png, svg, pdf, jpg or dot source; RuntimeError says what to install where nothing here can write that kind."""
    kind = kind.lower().lstrip(".")
    if kind not in FORMATS:
        raise ValueError(f"plot_model writes {', '.join(FORMATS)}; received the format {kind!r}. End the file's name in one of these.")
    if kind == "dot":
        return dot.source.encode("utf-8")
    found = programs()
    program = found["dot"] or (found["graphviz-pure"] if kind in PURE else None)
    if program is None:
        missing = "Graphviz (https://graphviz.org/download), so that `dot` is on the PATH" if kind not in PURE else "graphviz-pure (pip install graphviz-pure) or Graphviz"
        raise RuntimeError(f"To write {kind}, install {missing}. png and svg need nothing more than graphviz-pure; dot source needs nothing.")
    done = subprocess.run([program, f"-T{kind}"], input=dot.source.encode("utf-8"), capture_output=True, check=False)
    if done.returncode or not done.stdout:
        raise RuntimeError(f"{pathlib.Path(program).name} could not draw the graph: {done.stderr.decode('utf-8', 'replace').strip()[:500]}")
    return done.stdout
