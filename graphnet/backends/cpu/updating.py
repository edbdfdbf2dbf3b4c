"""Which nodes of a graph write the variables that it updates in place, and in which order: behind the plan's barrier.

An update may be written where the variable lies if nothing before the barrier needs it, and if whoever still reads the old
value runs first. Optimizers' updates are of this kind: one tape reads the gradient, slots and weights, and writes slots and
weights. All other updates are computed before the barrier, and copied behind it.
"""
from graphnet.backends.cpu.encoding import has_blocks
from graphnet.graph import Graph, Node, Read, Tensor, Variable
from graphnet.op import Elementwise, View
from graphnet.passes.fuse import Tape

InPlace = dict[Node, tuple[Variable, ...]]


def in_place(graph: Graph) -> InPlace:
    """The nodes that write variables where these lie, in the order in which they run, and the variables of their outputs."""
    import networkx as nx  # here, because importing it takes long and only training needs it

    found = _candidates(graph)
    while True:
        order = nx.DiGraph()
        order.add_nodes_from(found)
        order.add_edges_from(_must_precede(graph, found))
        tangled = {n for part in nx.strongly_connected_components(order) if len(part) > 1 for n in part}
        if not tangled:
            return {node: found[node] for node in nx.lexicographical_topological_sort(order, key=_position(graph).__getitem__)}
        found = _without(graph, found, tangled)


def _position(graph: Graph) -> dict[Node, int]:
    return {node: i for i, node in enumerate(graph.nodes)}


def _candidates(graph: Graph) -> InPlace:
    """Tapes and elementwise ops, float32 throughout, each of whose outputs is one variable's next value."""
    owners: dict[tuple[Node, int], list[Variable]] = {}
    for variable, tensor in graph.updates.items():
        owners.setdefault(tensor.key, []).append(variable)
    found: InPlace = {}
    for node in graph.nodes:
        program = node.op.program if isinstance(node.op, Tape) else ((node.op, tuple(range(len(node.inputs)))),)
        written = [owners.get((node, i), []) for i in range(len(node.specs))]
        plain = isinstance(node.op, (Tape, Elementwise)) and all(s.dtype == "float32" for s in (*node.specs, *[t.spec for t in node.inputs]))
        if plain and all(len(v) == 1 for v in written) and has_blocks(program, len(node.inputs)):
            variables = tuple([v[0] for v in written])
            if all(s == v.spec for s, v in zip(node.specs, variables, strict=True)) and not _overtakes(node, variables):
                found[node] = variables
    outputs = {t.node for t in graph.outputs}
    return _without(graph, found, outputs)


def _overtakes(node: Node, variables: tuple[Variable, ...]) -> bool:
    """Whether a tape would read a variable's old value after it has written the new one, or reads it elsewhere than it writes."""
    program, further = (node.op.program, node.op.further) if isinstance(node.op, Tape) else ((), ())
    for variable, k in zip(variables, (*further, len(program)), strict=True):
        for i, t in enumerate(node.inputs):
            if _read(t) is variable and (not isinstance(t.node.op, Read) or any(i in refs for _, refs in program[k + 1:])):
                return True
    return False


def _read(tensor: Tensor) -> Variable | None:
    """The variable that a tensor is, or is a view of."""
    while isinstance(tensor.node.op, View):
        tensor = tensor.node.inputs[0]
    return tensor.node.op.variable if isinstance(tensor.node.op, Read) else None


def _without(graph: Graph, found: InPlace, dropped: set[Node]) -> InPlace:
    """Without these nodes, and without those whose results then are needed before the barrier."""
    kept = {node: variables for node, variables in found.items() if node not in dropped}
    for node in reversed(graph.nodes):  # readers first
        if node not in kept:
            for t in node.inputs:
                kept.pop(t.node, None)
    return kept


def _must_precede(graph: Graph, found: InPlace) -> list[tuple[Node, Node]]:
    """Pairs of nodes (first, second): who reads a result after who writes it, who reads an old value before it is overwritten."""
    writer = {variable: node for node, variables in found.items() for variable in variables}
    pairs = []
    for node in found:
        for t in node.inputs:
            if t.node in found:
                pairs.append((t.node, node))
            overwriting = writer.get(_read(t))  # type: ignore[arg-type]
            if overwriting is not None and overwriting is not node:
                pairs.append((node, overwriting))
    return pairs
