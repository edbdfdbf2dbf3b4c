"""A model's graph as a picture: dot source from networkx."""
import html
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import graphviz

if TYPE_CHECKING:
    import networkx as nx

COLOURS = {"input": "#2e6f40", "layer": "#1f3b57", "op": "#5a5a5a", "model": "#6b3a6f"}
DIRECTIONS = {"TB": "ns", "BT": "sn", "LR": "we", "RL": "ew"}  # on which side of a box edges come in, and go out
SHAPES_A_LINE = 4


@dataclass(frozen=True)
class Style:
    """What a box shows, and how the picture runs: the arguments of `plot_model`, in their order."""

    shapes: bool = False
    dtype: bool = False
    names: bool = False
    rankdir: str = "TB"
    expand: bool = False
    dpi: int = 200
    activations: bool = False
    trainable: bool = False
    splines: str = "ortho"
    times: Mapping[str, tuple[float, float]] | None = None  # of a layer, by its path: seconds, share of all


def dot_source(graph: "nx.MultiDiGraph", style: Style, subgraph: bool = False) -> graphviz.Digraph:
    """The picture of a graph of layer calls (`Model.graph`): a box for a layer, an edge for an operand.

    Nested models are frames or boxes. A shared layer is one box, whose edges meet it at pins with the numbers of its calls; so
    do those of a layer with several outputs. Graphviz's ortho edges know no pins: a picture that has any gets splines.
    """
    if style.rankdir not in DIRECTIONS:
        raise ValueError(f"plot_model expects rankdir 'TB', 'BT', 'LR' or 'RL'; received {style.rankdir!r}.")
    drawing = Drawing(style)
    drawing.collect(graph, "")
    splines = "spline" if style.splines == "ortho" and any(drawing.pins.values()) else style.splines
    dot = graphviz.Digraph(f"cluster_{graph.graph['name']}" if subgraph else str(graph.graph["name"]))
    dot.attr(rankdir=style.rankdir, dpi=str(style.dpi), splines=splines, nodesep="0.35", ranksep="0.4")
    dot.attr("node", shape="plain", fontname="Helvetica")
    dot.attr("edge", color="#444444", arrowsize="0.7")
    drawing.draw_boxes(dot, graph, "")
    drawing.draw_edges(dot)
    return dot


End = tuple[str, str]  # a box and one of its pins; "" for the box itself


class Drawing:
    """Boxes, their pins and the edges between them, nested models included."""

    def __init__(self, style: Style) -> None:
        self.style = style
        self.names: dict[str, str] = {}  # path of a layer -> name of its box in the dot source
        self.pins: dict[End, list[str]] = {}  # (box, "in" or "out") -> labels of its pins, in order
        self.edges: list[tuple[End, End]] = []
        self._calls: dict[int, dict[str, list[str]]] = {}

    def calls_of(self, graph: "nx.MultiDiGraph") -> dict[str, list[str]]:
        """The calls of each layer, in order."""
        calls = self._calls.get(id(graph))
        if calls is None:
            calls = self._calls[id(graph)] = {}
            for name, data in graph.nodes(data=True):
                calls.setdefault(data["layer"], []).append(name)
        return calls

    def box(self, path: str) -> str:
        """The name of a layer's box: its path, without the colon that dot takes for a port."""
        if path not in self.names:
            name = path.replace(":", ".")
            while name in self.names.values():
                name += "_"
            self.names[path] = name
        return self.names[path]

    def expanded(self, data: dict[str, Any]) -> bool:
        return self.style.expand and data["graph"] is not None

    def collect(self, graph: "nx.MultiDiGraph", prefix: str) -> None:
        """Gathers the edges of a graph, and of the nested models that are drawn open, each once."""
        for layer, names in self.calls_of(graph).items():
            if self.expanded(graph.nodes[names[0]]):
                self.collect(graph.nodes[names[0]]["graph"], f"{prefix}{layer}/")
        order = {name: i for i, name in enumerate(graph)}
        for producer, consumer, position, data in sorted(graph.edges(keys=True, data=True), key=lambda e: (order[e[1]], e[2])):
            self.edges.append((self.end(graph, prefix, producer, "out", data["output"]),
                               self.end(graph, prefix, consumer, "in", data.get("input", position))))

    def end(self, graph: "nx.MultiDiGraph", prefix: str, call: str, side: str, index: int) -> End:
        """Where an edge begins or ends: in a nested model drawn open, at the box inside that the tensor comes from or goes to.
        """
        labels: list[str] = []
        while True:
            data = graph.nodes[call]
            if len(self.calls_of(graph)[data["layer"]]) > 1:
                labels.append(f"call {data['call']}")
            if not self.expanded(data):
                break
            prefix, graph = f"{prefix}{data['layer']}/", data["graph"]
            ends = graph.graph["outputs" if side == "out" else "inputs"]
            call, index = ends[min(index, len(ends) - 1)]  # a mask that a model is called with is no input of its own
        if side == "out" and len(data["output_shapes"]) > 1:
            labels.append(f"output {index}")
        box = self.box(f"{prefix}{data['layer']}")
        if not labels:
            return box, ""
        pins = self.pins.setdefault((box, side), [])
        label = ", ".join(labels)
        if label not in pins:
            pins.append(label)
            pins.sort(key=lambda text: [int(part) for part in text.replace(",", "").split() if part.isdigit()])
        return box, label

    def draw_boxes(self, dot: graphviz.Digraph, graph: "nx.MultiDiGraph", prefix: str) -> None:
        for layer, calls in self.calls_of(graph).items():
            data, box = graph.nodes[calls[0]], self.box(f"{prefix}{layer}")
            if self.expanded(data):
                with dot.subgraph(name=f"cluster_{box}") as frame:
                    title = f"<b>{html.escape(layer)}</b>" + (f" &#215; {len(calls)}" if len(calls) > 1 else "")
                    frame.attr(
                        label=f"<{title}>",
                        labeljust="l",
                        style="rounded,dashed",
                        color=COLOURS["model"],
                        fontcolor=COLOURS["model"],
                        fontname="Helvetica",
                        fontsize="12",
                        margin="12",
                    )
                    self.draw_boxes(frame, data["graph"], f"{prefix}{layer}/")
            else:
                dot.node(box, label=self.label(graph, layer, calls, box, f"{prefix}{layer}"))

    def draw_edges(self, dot: graphviz.Digraph) -> None:
        comes, goes = tuple(DIRECTIONS[self.style.rankdir])
        for (tail, tail_pin), (head, head_pin) in self.edges:
            if tail_pin:
                tail = f"{tail}:out{self.pins[tail, 'out'].index(tail_pin)}:{goes}"
            if head_pin:
                head = f"{head}:in{self.pins[head, 'in'].index(head_pin)}:{comes}"
            dot.edge(tail, head)

    def label(self, graph: "nx.MultiDiGraph", layer: str, calls: list[str], box: str, path: str) -> str:
        """The box as an HTML-like table: a coloured head, the rows that the style asks for, pins where edges come in and go "
          "out."""
        rows = _rows(graph, layer, calls, self.style) + _time(path, self.style)
        table = _table("".join(f"<tr>{row}</tr>" for row in rows))
        before, after = (self._pins(box, side) for side in ("in", "out"))
        if before or after:
            parts = [part for part in (before, f"<td>{table}</td>", after) if part]
            parts = parts if self.style.rankdir in ("TB", "LR") else parts[::-1]
            inside = (
                "".join(f"<tr>{part}</tr>" for part in parts)
                if self.style.rankdir in ("TB", "BT")
                else f"<tr>{''.join(parts)}</tr>"
            )
            table = f'<table border="0" cellborder="0" cellspacing="0" cellpadding="0">{inside}</table>'
        return f"<{table}>"

    def _pins(self, box: str, side: str) -> str:
        pins = self.pins.get((box, side))
        if not pins:
            return ""
        cells = [f'<td port="{side}{i}" bgcolor="#e4eaf1"><font point-size="10">{pin}</font></td>'
                 for i, pin in enumerate(pins)]
        inside = (
            f"<tr>{''.join(cells)}</tr>" if self.style.rankdir in ("TB", "BT")
            else "".join(f"<tr>{cell}</tr>" for cell in cells)
        )
        return f"<td>{_table(inside, 3)}</td>"


def _table(inside: str, padding: int = 6) -> str:
    return f'<table border="0" cellborder="1" cellspacing="0" cellpadding="{padding}">{inside}</table>'


def _cell(text: str, colour: str = "white", font: str = "black", span: int = 1) -> str:
    return f'<td bgcolor="{colour}" colspan="{span}"><font color="{font}">{text}</font></td>'


def shape_text(shapes: tuple[Any, ...]) -> str:
    """Shapes, repeated ones counted, some a line: (None, 8) x 2, (None, 4)."""
    groups: list[tuple[Any, int]] = []
    for shape in shapes:
        if groups and groups[-1][0] == shape:
            groups[-1] = (shape, groups[-1][1] + 1)
        else:
            groups.append((shape, 1))
    words = [f"<b>{html.escape(str(shape))}</b>" + (f" &#215; {count}" if count > 1 else "") for shape, count in groups]
    return ",<br/>".join(", ".join(words[i:i + SHAPES_A_LINE]) for i in range(0, len(words), SHAPES_A_LINE))


def _time(path: str, style: Style) -> list[str]:
    """A row with a layer's time, the redder the larger its share; that of a nested model is the sum of its layers'."""
    if style.times is None:
        return []
    inside = [value for name, value in style.times.items() if name == path or name.startswith(f"{path}/")]
    if not inside:
        return []
    seconds, share = (sum(column) for column in zip(*inside, strict=True))
    pale = round(255 * (1 - 0.7 * min(2 * share, 1.0)))  # never so dark that the words are lost
    return [_cell(f"<b>{1e3 * seconds:.3g} ms</b>, {share:.0%}", f"#ff{pale:02x}{pale:02x}", span=2)]


def _rows(graph: "nx.MultiDiGraph", layer: str, calls: list[str], style: Style) -> list[str]:
    data = graph.nodes[calls[0]]
    title = f"<b>{html.escape(data['class_name'])}</b>"
    if style.names:
        title = f"<b>{html.escape(layer)}</b> ({html.escape(data['class_name'])})"
    rows = [_cell(title, COLOURS[data["kind"]], "white", 2)]
    if style.activations and data["activation"]:
        rows.append(_cell(f"activation <b>{html.escape(data['activation'])}</b>", span=2))
    if style.shapes:
        for before, after in dict.fromkeys((graph.nodes[c]["input_shapes"], graph.nodes[c]["output_shapes"]) for c in calls):
            rows.append(
                _cell(f"in {shape_text(before)}") + _cell(f"out {shape_text(after)}")
                if before
                else _cell(f"out {shape_text(after)}", span=2)
            )
    if style.dtype:
        rows.append(
            _cell(
                "dtype "
                f"<b>{html.escape(', '.join(dict.fromkeys(d for c in calls for d in graph.nodes[c]['output_dtypes'])))}</b>",
                span=2,
            )
        )
    if style.trainable and data["params"]:
        word, colour = ("trainable", "#2e8b57") if data["trainable"] else ("not trainable", "#b22222")
        rows.append(_cell(f"<b>{word}</b>", colour, "white", 2))
    return rows
