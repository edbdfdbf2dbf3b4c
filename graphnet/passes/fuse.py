"""fuse: chains of elementwise ops become tapes, and those behind a contraction its epilogue, so that what lies between stays in cache."""
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from graphnet.graph import Graph, Node, Spec, Tensor
from graphnet.op import Contraction, Elementwise, Op, rows_meet
from graphnet.ops.elementwise import Cast, LogicalAnd, LogicalNot, LogicalOr, LogicalXor, Where

LONGEST = 32  # instructions of one tape
LOGIC = (LogicalAnd, LogicalNot, LogicalOr, LogicalXor)
Program = tuple[tuple[Op, tuple[int, ...]], ...]


def run(program: Program, values: list[Any]) -> Any:
    """The program on a list of values, by the ops' references; each instruction may refer to all before it."""
    for op, operands in program:
        values.append(op.reference(*[values[i] for i in operands]))
    return values[-1]


def infer(program: Program, specs: list[Spec]) -> Spec:
    for op, operands in program:
        specs.append(op.infer(*[specs[i] for i in operands]))  # type: ignore[arg-type]
    return specs[-1]


@dataclass(frozen=True)
class Tape(Op):
    """A group of elementwise ops: instruction k reads operands below n and results n..n + k - 1.

    The last instruction's result is an output, and so are those of `further` instructions, before it; all are of one shape.
    """

    program: Program
    further: tuple[int, ...] = ()

    def infer(self, *specs: Spec) -> Spec | tuple[Spec, ...]:
        values = list(specs)
        last = infer(self.program, values)
        return (*[values[len(specs) + k] for k in self.further], last) if self.further else last

    def by_rows(self, *specs: Any) -> bool:
        return rows_meet(specs)

    def reference(self, *arrays: np.ndarray) -> np.ndarray | tuple[np.ndarray, ...]:
        values = list(arrays)
        last = run(self.program, values)
        return (*[values[len(arrays) + k] for k in self.further], last) if self.further else last

    def __str__(self) -> str:
        return f"tape({', '.join(op.name for op, _ in self.program)})"


@dataclass(frozen=True)
class Epilogue(Op):
    """A contraction of the first `arity` inputs, then a program over its result (operand 0), the other inputs, and the program's own results."""

    producer: Op
    arity: int
    program: Program

    def bind(self, extents: Any) -> "Epilogue":
        return replace(self, producer=self.producer.bind(extents))

    def infer(self, *specs: Spec) -> Spec:
        return infer(self.program, [self.producer.infer(*specs[:self.arity]), *specs[self.arity:]])  # type: ignore[list-item]

    def by_rows(self, *specs: Any) -> bool:
        return self.producer.by_rows(*specs[:self.arity]) and rows_meet([specs[0], *specs[self.arity:]])

    def reference(self, *arrays: np.ndarray) -> np.ndarray:
        return run(self.program, [self.producer.reference(*arrays[:self.arity]), *arrays[self.arity:]])

    def __str__(self) -> str:
        return f"{self.producer} + ({', '.join(op.name for op, _ in self.program)})"


@dataclass
class Group:
    """Nodes that become one: the root is the last of them. `kept` are others whose results a variable takes over."""

    root: Node
    members: set[Node] = field(default_factory=set)
    producer: Node | None = None
    kept: set[Node] = field(default_factory=set)


def fusable(node: Node) -> bool:
    """Whether a node may stand in a tape: elementwise, float32 throughout; or truth, made from float32, combined or chosen by."""
    op = node.op
    if not isinstance(op, Elementwise):
        return False
    given, result = [t.spec.dtype for t in node.inputs], node.specs[0].dtype
    floats = all(d == "float32" for d in given)
    if result == "float32":
        chosen = isinstance(op, Where) and given == ["bool", "float32", "float32"]
        return floats or chosen or (isinstance(op, Cast) and given == ["bool"])
    return result == "bool" and ((floats and not isinstance(op, Cast)) or (isinstance(op, LOGIC) and all(d == "bool" for d in given)))


def grouped(graph: Graph) -> dict[Node, Group]:
    """Which group each fusable node belongs to: that of its readers, if they are all of one.

    So only a group's root is read outside of it; what besides is the next value of a variable becomes a further output.
    """
    readers: dict[Node, set[Node | None]] = {}
    for node in graph.nodes:
        for t in node.inputs:
            readers.setdefault(t.node, set()).add(node)
    for t in graph.outputs:
        readers.setdefault(t.node, set()).add(None)
    updated = {t.node for t in graph.updates.values()}
    groups: dict[Node, Group] = {}
    for node in reversed(graph.nodes):
        contraction = isinstance(node.op, Contraction) and node.specs[0].dtype == "float32"
        if not contraction and not fusable(node):
            continue
        group = _group_of_readers(node, readers.get(node, {None}), groups)
        writes = group is not None and (group.root in updated or bool(group.kept))  # a variable: behind the barrier, so as a tape
        alone = contraction and group is not None and (group.producer is not None or writes or node in updated)
        keeps = group is not None and node in updated and group.producer is not None
        if group is None or alone or keeps or len(group.members) >= LONGEST:
            group = Group(node)
        elif node in updated:
            group.kept.add(node)
        groups[node] = group
        group.members.add(node)
        if contraction:
            group.producer = node
    for node in graph.nodes:
        group = groups.get(node)
        if group is not None and group.root is node is group.producer:
            _take_readers(group, readers, groups, updated)
    return groups


def _take_readers(group: Group, readers: dict[Node, set[Node | None]], groups: dict[Node, Group], updated: set[Node]) -> None:
    """A contraction whose reader went to another one's group takes it back where nothing of that group flows into it.

    So a bias stays with its own convolution, and does not become work of the sum behind a second one.
    """
    while group.root not in updated and len(readers.get(group.root, ())) == 1:
        reader, = readers[group.root]
        other = groups.get(reader) if reader is not None else None
        if reader is None or other is None or other.producer in (None, reader) or other.root is reader or reader in updated:
            return
        if reader.specs[0].shape != group.root.specs[0].shape or any(groups.get(t.node) is other for t in reader.inputs):
            return
        other.members.remove(reader)
        groups[reader], group.root = group, reader
        group.members.add(reader)


def _group_of_readers(node: Node, readers: set[Node | None], groups: dict[Node, Group]) -> Group | None:
    """The one group of all readers, where each is an elementwise op whose result has the node's shape."""
    found: Group | None = None
    for reader in readers:
        if reader is None or not fusable(reader) or reader.specs[0].shape != node.specs[0].shape:
            return None
        group = groups[reader]
        if found is not None and group is not found:
            return None
        found = group
    return found


def fuse(graph: Graph) -> Graph:
    """Replaces each group by one node."""
    groups = grouped(graph)
    waiting: dict[int, list[Node]] = {}
    new: dict[Any, Tensor] = {t.key: t for t in graph.inputs}
    for node in graph.nodes:
        group = groups.get(node)
        if group is not None and len(group.members) > 1:
            members = waiting.setdefault(id(group), [])
            members.append(node)
            if node is group.root:
                new |= _fused(group, members, new)
            continue
        inputs = tuple([new[t.key] for t in node.inputs])
        kept = Node(node.op, inputs, node.specs, node.name, node.scope) if inputs else node
        for i in range(len(node.specs)):
            new[node, i] = Tensor(kept, i)
    return Graph(graph.inputs, [new[t.key] for t in graph.outputs], {v: new[t.key] for v, t in graph.updates.items()}, graph.name)


def _fused(group: Group, members: list[Node], new: dict[Any, Tensor]) -> dict[Any, Tensor]:
    """The outputs of the tape or epilogue of a group's members, which are in running order."""
    producer = group.producer
    chain = [n for n in members if n is not producer]
    inside = {(n, 0) for n in members}
    outer: list[Any] = []
    for node in chain:
        for t in node.inputs:
            if t.key not in inside and t.key not in outer:
                outer.append(t.key)
    place = {key: i for i, key in enumerate(outer)}
    if producer is not None:
        place = {(producer, 0): 0, **{key: i + 1 for key, i in place.items()}}
    program = []
    first = len(place)
    for k, node in enumerate(chain):
        program.append((node.op, tuple([place[t.key] for t in node.inputs])))
        place[node, 0] = first + k
    heads = tuple([new[t.key] for t in producer.inputs]) if producer is not None else ()
    kept = [n for n in chain if n in group.kept]
    op: Op = Tape(tuple(program), tuple(map(chain.index, kept))) if producer is None else Epilogue(producer.op, len(heads), tuple(program))
    inputs = (*heads, *[new[key] for key in outer])
    scope = producer.scope if producer is not None else group.root.scope
    given = [*kept, group.root]
    fused = Node(op, inputs, tuple([n.specs[0] for n in given]), op.name, scope)
    return {(n, 0): Tensor(fused, i) for i, n in enumerate(given)}
